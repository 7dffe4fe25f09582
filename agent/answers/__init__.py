"""Answers to questions: one plain sentence each, every number out of the masks. Pure."""
