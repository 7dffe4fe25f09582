"""``medsam3 ask`` and ``chat``: requests in words, about one picture, a folder, or in a thread."""
