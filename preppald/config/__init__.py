"""The configuration: the table of settings, and the only reader of the environment."""
