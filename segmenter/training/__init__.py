"""Training of the bundled compact model; the only part that imports torch for it."""
