"""Fine-tuning of SAM 3's detector."""
