"""Jobs between processes: contract, messages, in memory and on Redis."""
