"""Pages become objects: parts first, the manifest last."""
