"""Records that cross borders: requests, plans, rounds, runs, threads."""
