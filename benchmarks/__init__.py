"""Figures of the project: how well it segments and how long it takes."""
