"""Domain records to answers. Pure."""
