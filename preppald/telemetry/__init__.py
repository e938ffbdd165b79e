"""Logs, metrics and the process's memory."""
