"""The commands, one module each: their arguments and their output."""
