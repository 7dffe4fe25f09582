"""Models behind the one backend protocol."""
