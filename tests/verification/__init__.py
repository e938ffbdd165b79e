"""Checked transcripts: the judge, the sound that is cut, and the work from a delivered transcript to a checked one."""
