"""Pictures through time, to frames."""
