"""Libraries that may die of a damaged file, in processes of their own."""
