"""Files in, passages out. The door of the document room; nothing lives here yet (see ../README.md)."""
