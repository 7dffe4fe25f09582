"""Bytes to pixels, and masks to files."""
