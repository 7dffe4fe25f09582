"""PNG, JPEG, TIFF, WebP, BMP and GIF to pixels; the owner of Pillow."""
