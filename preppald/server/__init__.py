"""The public port: from an accepted connection to a seat in an interview."""
