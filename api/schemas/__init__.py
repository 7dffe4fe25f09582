"""Request and answer models, shared by HTTP and the command line."""
