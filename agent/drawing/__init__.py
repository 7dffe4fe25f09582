"""Masks drawn on images: contours, labels, sheets."""
