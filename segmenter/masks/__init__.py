"""Run lengths and pixel geometry of masks and boxes. Pure."""
