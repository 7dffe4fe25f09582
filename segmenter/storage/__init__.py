"""Images and records that expire: in memory, in SQL, in Redis."""
