"""Vectors, random weights and timings of SAM 3."""
