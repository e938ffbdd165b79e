"""preppald: the daemon between a candidate's browser and Gemini Live."""

__version__ = "0.1.0"
