"""What masks of candidates are worth: quality, selection, pieces. Pure."""
