"""Gemini's end: one client an interview, over many connections."""
