"""The bundled model and its words."""
