"""Recordings of interviews, with PREPPALD_RECORD=on.

While an interview runs its sound is only noted down, with its times, in an append-only file. Nothing is mixed,
converted or compressed beside the conversations, and a killed process loses only the sound not yet written. When the
interview is over, a process of its own makes one stereo file of it.

tape.py      an interview's notes, in memory for half a second     (the hot path)
recorder.py  the task that writes them; bounds, and a full disk
notes.py     the notes' file format
shelf.py     the directory of recordings
render.py    notes to stereo samples
files.py     samples to a WAV, FLAC or Opus file, and back
kept.py      sound that is kept for a check alone, and not recorded
cutting.py   the candidate's voice, turn by turn
keeper.py    finishes and removes recordings
"""

from preppald.recording.keeper import Keeper
from preppald.recording.kept import Kept
from preppald.recording.recorder import Recorder
from preppald.recording.tape import NO_TAPE, Tape

__all__ = ["NO_TAPE", "Keeper", "Kept", "Recorder", "Tape"]
