"""The page of one interview, as one HTML file that needs nothing else but the sound beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import html
from itertools import pairwise

from preppald.commands.listing import interleaved, moment, printable, span
from preppald.core.checks import CheckedTurn
from preppald.core.interview import Interview
from preppald.core.quality import Quality, Service
from preppald.core.timeline import Spoken
from preppald.core.turns import Speaker

# A row of the picture: in ten minutes a turn of two seconds is still seen, and an hour fits on a printed page.
ROW_MS = 600_000
# The user units of a row: one for each second, and the lanes' height.
ROW_WIDTH, ROW_HEIGHT = 600, 48
LANES = {Speaker.AI: 8, Speaker.USER: 26}
LANE_HEIGHT = 14
# Above and below them, where they are known, the connections to Gemini and to the candidate's page.
GEMINI_LANE, PAGE_LANE = 2, 43
STAY_HEIGHT = 3
# A shorter one is a change of connections, which nobody hears.
GAP_MS = 1_000
# Some eight lines. A page may end within a longer turn: kept whole, turns of minutes would leave pages half empty.
LONG_CHARS = 600
# Thinner bars cannot be seen or hit.
THINNEST = 0.8
NAMES = {Speaker.AI: "Interviewer", Speaker.USER: "Candidate"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5b6570; --paper: #fff; --line: #dfe3e8; --ai: #3b6fb6;
  --user: #2e8b62; --cut: #c2452d; --wait: #e3a51a; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #a2adb8; --paper: #14181c; --line: #333b44;
  --ai: #7aa7e6; --user: #66c79b; --cut: #f0856f; --wait: #f0c24f; } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p.facts, figcaption, .note { color: var(--soft); margin: .25rem 0; font-size: .9rem; }
audio { width: 100%; margin-top: 1rem; }
figure { margin: 0; } svg { display: block; width: 100%; height: auto; margin: .35rem 0; }
svg text { fill: var(--soft); font: 7px system-ui, sans-serif; }
rect.AI { fill: var(--ai); } rect.USER { fill: var(--user); } rect.wait { fill: var(--wait); }
rect.cut, rect.gap { fill: var(--cut); } rect.stay { fill: var(--line); } rect.change { fill: var(--soft); }
line { stroke: var(--line); stroke-width: .5; } rect[data-at] { cursor: pointer; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .9em; border-radius: 2px; }
table { border-collapse: collapse; font-size: .95rem; } th { text-align: start; font-weight: 400; color: var(--soft);
  padding: .1rem 1.5rem .1rem 0; } td { font-variant-numeric: tabular-nums; text-align: end; }
ol { list-style: none; padding: 0; } li { display: grid; grid-template-columns: 4rem 7.5rem 1fr; align-items: start; gap: .25rem .75rem;
  padding: .45rem 0; border-top: 1px solid var(--line); break-inside: avoid; }
li p { margin: 0; } li button { all: unset; color: var(--soft); font-variant-numeric: tabular-nums; cursor: pointer; }
li button:focus-visible { outline: 2px solid var(--ai); } li b.AI { color: var(--ai); } li b.USER { color: var(--user); }
.flagged { border-inline-start: 3px solid var(--cut); padding-inline-start: .75rem; margin-inline-start: calc(-.75rem - 3px); }
.flag { background: var(--cut); color: var(--paper); border-radius: 3px; padding: 0 .4em; font-size: .8rem; }
.checked { color: var(--user); } small { color: var(--soft); }
.unheard { color: var(--soft); text-decoration: line-through; } .cut { color: var(--cut); }
@media (max-width: 36rem) { li { grid-template-columns: 4rem 1fr; } li p { grid-column: 1 / -1; } }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 11pt; } audio { display: none; }
  .key, .flag { print-color-adjust: exact; } svg, tr, figcaption { break-inside: avoid; } h2, .note { break-after: avoid; }
  li.long { break-inside: auto; } .flagged { margin-inline-start: 0; } li p { orphans: 3; widows: 3; } }
"""
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; media-src 'self' file:;
  style-src 'unsafe-inline'; script-src 'unsafe-inline'">"""
KEY = """<figcaption><i class="key" style="background:var(--ai);margin-left:0"></i>interviewer
<i class="key" style="background:var(--user)"></i>candidate
<i class="key" style="background:var(--wait)"></i>waiting for the reply
<i class="key" style="background:var(--cut)"></i>cut in%s</figcaption>
</figure>"""
STAYS_KEY = """
<i class="key" style="background:var(--line)"></i>connected to Gemini (above), to the page (below); gaps of a second and more are red"""
SCRIPT = """
const sound = document.querySelector("audio");
document.addEventListener("click", (event) => {
  const at = event.target.closest("[data-at]")?.dataset.at;
  if (!sound || at === undefined) return;
  sound.currentTime = at / 1000;
  sound.play();
});
"""


@dataclass(frozen=True, slots=True)
class Talk:
    """Everything the page shows. ``sound``: the name of the file beside the page, None where nothing was recorded.

    ``checked``: what a second ear heard, by the transcript's line.
    """

    interview: Interview
    timeline: Sequence[Spoken]
    quality: Quality
    length_ms: int
    cost_dollars: float
    missing: Sequence[str] = ()
    sound: str | None = None
    checked: Mapping[int, Sequence[CheckedTurn]] = field(default_factory=dict)


def page(talk: Talk) -> str:
    """Return the page. Every word that comes from elsewhere is escaped; nothing is loaded but the sound."""
    it = talk.interview
    title = f"Interview {_text(it.interview_id)}" + (f", block {it.block}" if it.block else "")
    ended = "live" if it.ended_ms is None else f"{span(talk.length_ms)}, {_text(it.ending or '')}"
    facts = [f"user {_text(it.user_id)}", moment(it.started_ms), ended, _text(it.model)]
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            POLICY,
            f"<title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>",
            f'<p class="facts">{" · ".join(facts)}</p>',
            *([f'<p class="facts">{_text(it.cause)}</p>'] if it.cause else ()),
            *(
                [f'<audio controls preload="metadata" src="{_text(talk.sound)}"></audio>']
                if talk.sound
                else ()
            ),
            "<h2>Who spoke when</h2>\n<figure>",
            *_rows(talk),
            KEY % ("" if talk.quality.presence is None else STAYS_KEY),
            "<h2>In numbers</h2>\n<table>",
            *(f"<tr><th scope=row>{name}<td>{value}" for name, value in _numbers(talk)),
            "</table>\n<h2>Transcript</h2>",
            *(f'<p class="note">{_text(what)}</p>' for what in talk.missing),
            "<ol>" if talk.timeline else '<p class="note">Nothing was said.</p>',
            *_lines(talk),
            *(["</ol>"] if talk.timeline else ()),
            f"<script>{SCRIPT}</script>\n</html>\n",
        )
    )


# ------------------------------------------------------------------ the picture


def _rows(talk: Talk) -> Iterator[str]:
    """Yield a picture for each ten minutes."""
    for start in range(0, max(talk.length_ms, 1), ROW_MS):
        end = start + ROW_MS
        bars = [
            *(
                _bar(it.turn.speaker.value, it.begin_ms, it.end_ms, it.turn.speaker, start)
                for it in talk.timeline
            ),
            *(
                _bar("cut", it.end_ms, it.end_ms, it.turn.speaker, start)
                for it in talk.timeline
                if it.turn.cut
            ),
            *(
                _bar("wait", answer.end_ms, reply.begin_ms, Speaker.USER, start)
                for answer, reply in pairwise(talk.timeline)
                if answer.turn.speaker is Speaker.USER and reply.turn.speaker is Speaker.AI
            ),
        ]
        minutes = range(start, end, 60_000)
        yield (
            f'<svg viewBox="0 0 {ROW_WIDTH} {ROW_HEIGHT + 8}" role="img" '
            f'aria-label="From {span(start)} to {span(min(end, talk.length_ms))}">'
            + "".join(_minute(at, (at - start) / 1000) for at in minutes)
            + "".join((*_stays(talk, start), *bars))
            + "</svg>"
        )


def _stays(talk: Talk, start_ms: int) -> Iterator[str]:
    """Yield the connections of a row, and the gaps between them."""
    there = talk.quality.presence
    if there is None:
        return
    for name, y, stays in (("Gemini", GEMINI_LANE, there.gemini), ("page", PAGE_LANE, there.browser)):
        for number, it in enumerate(stays):
            end = talk.length_ms if it.end_ms is None else it.end_ms
            how = " again, with its memory" if it.resumed else ""
            yield _placed("stay", f"{name}{how}", (it.begin_ms, end), (y, STAY_HEIGHT), start_ms)
            if number:
                gone = stays[number - 1].end_ms or it.begin_ms
                kind = "gap" if it.begin_ms - gone >= GAP_MS else "change"
                yield _placed(kind, f"without {name}", (gone, it.begin_ms), (y, STAY_HEIGHT), start_ms)


def _minute(at_ms: int, x: float) -> str:
    line = f'<line x1="{x:g}" x2="{x:g}" y1="0" y2="{ROW_HEIGHT}"/>'
    return f'{line}<text x="{x + 2:g}" y="{ROW_HEIGHT + 6}">{span(at_ms)}</text>'


def _bar(kind: str, begin_ms: int, end_ms: int, lane: Speaker, start_ms: int) -> str:
    words = NAMES.get(lane, "") if kind == lane.value else kind
    return _placed(kind, words, (begin_ms, end_ms), (LANES[lane], LANE_HEIGHT), start_ms)


def _placed(kind: str, words: str, times_ms: tuple[int, int], lane: tuple[int, int], start_ms: int) -> str:
    """Return a bar in a row; nothing where it is in another. ``lane``: its place and its height."""
    begin, end = max(times_ms[0], start_ms), min(times_ms[1], start_ms + ROW_MS)
    if end < begin or begin >= start_ms + ROW_MS:
        return ""
    width = max((end - begin) / 1000, THINNEST)
    title = " to ".join(dict.fromkeys(map(span, times_ms)))
    return (
        f'<rect class="{kind}" data-at="{times_ms[0]}" x="{(begin - start_ms) / 1000:g}" y="{lane[0]}" '
        f'width="{width:g}" height="{lane[1]}"><title>{words} {title}</title></rect>'
    )


# ------------------------------------------------------------------ numbers and words


def _numbers(talk: Talk) -> Iterator[tuple[str, str]]:
    it = talk.quality
    yield "Length", span(talk.length_ms)
    yield "Turns of the candidate, of the interviewer", f"{it.candidate_turns}, {it.interviewer_turns}"
    yield "Spoken by the candidate, by the interviewer", f"{span(it.candidate_ms)}, {span(it.interviewer_ms)}"
    if it.candidate_share is not None:
        yield "The candidate's share of the talk", f"{it.candidate_share:.0%}"
    if it.words_a_minute is not None:
        yield "The candidate's words a minute", f"{it.words_a_minute:.0f}"
    if it.wait_longest_ms is not None:
        waits = (it.wait_p50_ms or 0, it.wait_p99_ms or 0, it.wait_longest_ms)
        yield "Wait for a reply: usual, p99, longest", ", ".join(f"{ms / 1000:.1f} s" for ms in waits)
    yield "Replies cut by the candidate", str(it.interruptions)
    yield (
        "Longest silence of the candidate, of the interviewer",
        (f"{span(it.candidate_silence_ms)}, {span(it.interviewer_silence_ms)}"),
    )
    checked = [one for found in talk.checked.values() for one in found]
    if checked:
        flagged = sum(one.second_is_better for one in checked)
        yield "Turns checked by a second ear, with a defect", f"{len(checked)}, {flagged}"
    if it.service is not None:
        yield from _service(it.service)
    yield "Tokens, estimated cost", f"{talk.interview.usage.total}, ${talk.cost_dollars:.2f}"


def _service(it: Service) -> Iterator[tuple[str, str]]:
    """Yield what only the daemon saw; nothing of what did not happen."""
    if it.false_interruptions:
        yield "Replies that broke off and were taken up again", str(it.false_interruptions)
    if it.prompts:
        yield "Prompts to a silent interviewer", str(it.prompts)
    if it.gaps:
        gaps = f"{it.gaps}, {it.gap_ms / 1000:.1f} s, {it.gap_longest_ms / 1000:.1f} s"
        yield "Gaps in the line to Gemini: how many, in all, longest", gaps
    if it.rotations or it.restorations:
        yield "Connections changed by plan, after a failure", f"{it.rotations}, {it.restorations}"
    if it.credited_ms:
        yield "Time given back", span(it.credited_ms)
    if it.dropped_ms:
        yield "The candidate's sound that was dropped", f"{it.dropped_ms / 1000:.1f} s"


def _lines(talk: Talk) -> Iterator[str]:
    """Yield the turns, and between them the voice that live transcription heard nothing of."""
    for line in interleaved(talk.timeline, talk.checked):
        if line.it is not None:
            yield _line(line.it, line.second)
        elif line.second is not None:
            yield _unheard(line.second)


def _unheard(it: CheckedTurn) -> str:
    return (
        f'<li class="{_kind(it.second, "flagged")}"><button data-at="{it.begin_ms}">{span(it.begin_ms)}</button>'
        f'<b class="USER">{NAMES[Speaker.USER]}</b><p dir="auto"><span class="flag" dir="ltr">{it.flag}</span> '
        f"{_text(it.second)}</p></li>"
    )


def _line(it: Spoken, checked: CheckedTurn | None) -> str:
    turn = it.turn
    words = turn.text if turn.heard is None else turn.text[: turn.heard]
    said = _text(" ".join(words.split()))
    # Our own words have a direction of their own: the paragraph takes that of the first letter beside them.
    if turn.cut:
        said += f' <span class="cut" dir="ltr">— cut in</span> <bdi class="unheard">{_text(" ".join(it.unheard.split()))}</bdi>'
    kind = _kind(turn.text)
    if checked is not None and checked.second_is_better:
        kind = _kind(turn.text + checked.second, "flagged")
        second = _text(checked.second) or '<i dir="ltr">nothing</i>'
        said = (
            f'<span class="flag" dir="ltr">{checked.flag}</span> {second}<br>'
            f'<small dir="ltr">live, {checked.confidence:.0%} agreed: <bdi class="doubted">{said}</bdi></small>'
        )
    elif checked is not None:
        said += ' <span class="checked" title="a second text says the same">✓</span>'
    return (
        f'<li class="{kind}"><button data-at="{it.begin_ms}">{span(it.begin_ms)}</button>'
        f'<b class="{turn.speaker.value}">{NAMES[turn.speaker]}</b><p dir="auto">{said}</p></li>'
    )


def _kind(words: str, *others: str) -> str:
    """Return the classes of a line with these words."""
    return " ".join((*others, "long" if len(words) > LONG_CHARS else "short"))


def _text(words: str) -> str:
    return html.escape(printable(words))
