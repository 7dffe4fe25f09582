"""What a request means: terms, sides, commands, modality words. Pure."""
