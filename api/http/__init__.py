"""The HTTP interface; the owner of FastAPI."""
