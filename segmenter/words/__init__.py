"""English words as people write them: spelling, number, typing errors, kinds of picture. Pure.

Shared by what reads a request and by what reads a prompt for a model of few concepts.
"""
