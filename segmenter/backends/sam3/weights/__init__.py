"""SAM 3 on disk: find, read, convert, LoRA."""
