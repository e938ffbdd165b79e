"""The rules of an interview. Pure: no Trio, no socket, no clock, no log, no randomness; time is an argument."""
