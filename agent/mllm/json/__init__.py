"""What models write, read as JSON."""
