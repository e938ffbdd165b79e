"""Sample rates: pure functions and small objects on PCM, without I/O."""
