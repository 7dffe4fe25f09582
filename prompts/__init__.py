"""Texts and lexicon that a clinician can review without reading code."""
