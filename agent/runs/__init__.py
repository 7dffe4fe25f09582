"""The life of a run: threads, log of answers, events, result, replay, worker."""
