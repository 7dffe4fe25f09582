"""``medsam3 volume``: sequences of frames, their files and their overview."""
