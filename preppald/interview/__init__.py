"""One interview, and the registry of those that are live."""
