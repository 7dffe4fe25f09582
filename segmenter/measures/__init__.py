"""Lengths, areas and values of masks. Pure."""
