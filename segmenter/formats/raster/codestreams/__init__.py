"""Codestreams that Pillow does not read, or not whole: decoded in a process of their own."""
