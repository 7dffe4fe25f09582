"""Which calls are admissible, which come next, what stands, how a run ends. Pure."""
