"""Parts of the model card: what is read and what is written."""
