"""Volume jobs: take on, run, keep, summarise."""
