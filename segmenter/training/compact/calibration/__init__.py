"""Probabilities and thresholds that belong to the bundled model's weights."""
