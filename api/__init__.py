"""HTTP front and command line."""
