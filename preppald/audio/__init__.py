"""Sample rates and Opus: pure functions and small objects on PCM, without I/O."""
