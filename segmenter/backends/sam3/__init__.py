"""SAM 3 in memory."""
