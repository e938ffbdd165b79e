"""A transcript as WebVTT captions, for players and editors: https://www.w3.org/TR/webvtt1/."""

from collections.abc import Iterator, Mapping, Sequence
import html
import re

from preppald.commands.listing import Line, interleaved
from preppald.core.checks import CheckedTurn
from preppald.core.timeline import Spoken
from preppald.core.turns import CUT_MARK, Speaker

# Two lines of a caption as broadcasters set them: more cannot be read while it is shown.
CUE_CHARACTERS = 84
_VOICES = {Speaker.USER: "Candidate", Speaker.AI: "Interviewer"}
# The ends of sentences in the scripts that have them, and blanks as the second choice.
_SENTENCE = re.compile(r"(?<=[.!?…\u3002\uff01\uff1f])\s*")


_LEGEND = (
    "NOTE\nA second ear heard this sound. Of a caption with a mark like [start missing] the words are that ear's, and to "
    "be trusted;\nthose of the live transcription stand in the note above it."
)


def webvtt(timeline: Sequence[Spoken], checked: Mapping[int, Sequence[CheckedTurn]] | None = None) -> str:
    """Return the captions: a voice for each speaker, long turns in pieces.

    Within a turn times are shared out by the length of the text. The unheard part of a reply that was cut is no caption.
    ``checked``: what a second ear heard, by the transcript's line; where that is to be trusted it is the caption.
    """
    blocks = ["WEBVTT", *([_LEGEND] if checked else ())]
    for line in interleaved(timeline, checked or {}):
        if line.better is not None:
            blocks += [_note(line.better), *_cues(line, f"[{line.better.flag}] {line.better.second}")]
        elif line.it is not None:
            turn = line.it.turn
            blocks += _cues(line, turn.spoken.removesuffix(CUT_MARK), cut=turn.cut)
    return "\n\n".join(blocks) + "\n"


def _note(checked: CheckedTurn) -> str:
    """Return the comment above a caption of a second ear's: what the live transcription made of it."""
    live = html.escape(" ".join(checked.live.split()), quote=False)
    if not live:
        return f"NOTE {checked.flag}: the live transcription has no words here"
    return f"NOTE {checked.flag}, {checked.confidence:.0%} agreed; live: {live}"


def _cues(line: Line, text: str, *, cut: bool = False) -> Iterator[str]:
    pieces = list(_pieces(" ".join(text.split())))
    if cut and pieces:
        pieces[-1] += CUT_MARK
    whole = sum(map(len, pieces)) or 1
    length_ms = max(0, line.end_ms - line.begin_ms)
    said = 0
    for piece in pieces:
        begin = line.begin_ms + length_ms * said // whole
        said += len(piece)
        end = line.begin_ms + length_ms * said // whole
        # A cue that ends when it begins is none.
        times = f"{_time(begin)} --> {_time(max(end, begin + 1))}"
        yield f"{times}\n<v {_VOICES[line.speaker]}>{html.escape(piece, quote=False)}"


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
