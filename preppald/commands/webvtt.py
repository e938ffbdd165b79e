"""A transcript as WebVTT captions, for players and editors: https://www.w3.org/TR/webvtt1/."""

from collections.abc import Iterator, Sequence
import html
import re

from preppald.core.timeline import Spoken
from preppald.core.turns import CUT_MARK, Speaker

# Two lines of a caption as broadcasters set them: more cannot be read while it is shown.
CUE_CHARACTERS = 84
_VOICES = {Speaker.USER: "Candidate", Speaker.AI: "Interviewer"}
# The ends of sentences in the scripts that have them, and blanks as the second choice.
_SENTENCE = re.compile(r"(?<=[.!?…\u3002\uff01\uff1f])\s*")


def webvtt(timeline: Sequence[Spoken]) -> str:
    """Return the captions: a voice for each speaker, long turns in pieces.

    Within a turn times are shared out by the length of the text. The unheard part of a reply that was cut is no caption.
    """
    blocks = ["WEBVTT", *(cue for it in timeline for cue in _cues(it))]
    return "\n\n".join(blocks) + "\n"


def _cues(it: Spoken) -> Iterator[str]:
    text = " ".join(it.turn.spoken.removesuffix(CUT_MARK).split())
    pieces = list(_pieces(text))
    if it.turn.cut and pieces:
        pieces[-1] += CUT_MARK
    whole = sum(map(len, pieces)) or 1
    said = 0
    for piece in pieces:
        begin = it.begin_ms + it.length_ms * said // whole
        said += len(piece)
        end = it.begin_ms + it.length_ms * said // whole
        voice = _VOICES[it.turn.speaker]
        # A cue that ends when it begins is none.
        yield f"{_time(begin)} --> {_time(max(end, begin + 1))}\n<v {voice}>{html.escape(piece, quote=False)}"


def _pieces(text: str) -> Iterator[str]:
    """Cut at the ends of sentences, then at blanks, then anywhere, into pieces that fit a caption."""
    piece = ""
    for sentence in filter(None, _SENTENCE.split(text)):
        for word in _words(sentence):
            if piece and len(piece) + 1 + len(word) > CUE_CHARACTERS:
                yield piece
                piece = ""
            piece = f"{piece} {word}" if piece else word
        if len(piece) > CUE_CHARACTERS // 2:
            yield piece
            piece = ""
    if piece:
        yield piece


def _words(sentence: str) -> Iterator[str]:
    """Yield the words; scripts without blanks in lengths that fit."""
    for word in sentence.split():
        for start in range(0, len(word), CUE_CHARACTERS):
            yield word[start : start + CUE_CHARACTERS]


def _time(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{ms:03}"
