"""Recordings: what was said and heard in an interview, for those who ask for it (PREPPALD_RECORD=on).

While an interview runs its sound is only noted down: what came, when, in an append-only file. Nothing is mixed,
converted or compressed beside the conversations, and a process that is killed loses no more than was not yet written.
When the interview is over, a process of its own makes one stereo file of it.

tape.py      an interview's notes, in memory for half a second     (the hot path)
recorder.py  the task that writes them; bounds, and a full disk
notes.py     the notes' file format
shelf.py     the directory: which recordings there are
render.py    notes to stereo samples
files.py     samples to a WAV, FLAC or Opus file, and back
keeper.py    finishes what is over, removes what is old
"""

from preppald.recording.keeper import Keeper
from preppald.recording.recorder import Recorder
from preppald.recording.tape import NO_TAPE, Tape

__all__ = ["NO_TAPE", "Keeper", "Recorder", "Tape"]
