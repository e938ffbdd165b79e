"""The browser's end: one connection, and the one seat that an interview has for it."""
