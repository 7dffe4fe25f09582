"""Multimodal language models behind one protocol."""
