"""Volumes that one file holds, to frames, and labels back to a file."""
