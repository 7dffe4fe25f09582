"""TIFF files to pixels; the owner of tifffile."""
