"""From words to wishes: units, parts, verbs, objects, and the intent they make. Pure."""
