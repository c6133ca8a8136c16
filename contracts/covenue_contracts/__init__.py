"""What crosses a boundary: frozen models, their exported schemas, canonical bytes, vectors."""
