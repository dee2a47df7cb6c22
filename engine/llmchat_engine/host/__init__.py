"""The process that owns the model. Nothing here is imported by the client side."""
