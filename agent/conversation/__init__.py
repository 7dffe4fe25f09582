"""What a person's word does to a thread, before a run."""
