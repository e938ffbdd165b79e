"""A hundred coughs, one-word answers and real interruptions, in five scripts: resumed, answered, left.

The rules alone, in virtual time. The sound is that of the committed samples, in quiet and in noise; the words are a
scenario's, in English, German, Japanese, Chinese and Thai. Half of the interviews have voice activity events. ``python
-m tests.test_interruptions`` prints the table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import random

import pytest

from preppald.core.effects import Prompt
from preppald.core.events import (
    AudioSpoken,
    ReplyGenerated,
    ReplyInterrupted,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamReady,
)
from preppald.core.frames import OUTPUT_BYTES_PER_SECOND
from preppald.core.turns import CUT_MARK, Speaker
from tests.test_pauses import Interview

A_KIND = 100
REPLY_SECONDS = 8.0
PIECE_SECONDS = 0.5
# Gemini sends at four times the pace of speech.
PACE = 4.0


@dataclass(frozen=True)
class Script:
    """``parts``: a reply as it is transcribed; ``word``: a whole answer; ``sentence``: an interruption, in pieces."""

    name: str
    parts: Sequence[str]
    word: str
    sentence: Sequence[str]


SCRIPTS = (
    Script(
        "English",
        (
            "Thank you, that was",
            " very clear. Now I would",
            " like to hear about",
            " the hardest project",
            " of last year.",
        ),
        "Yes.",
        ("Sorry, may I", " add something first?"),
    ),
    Script(
        "German",
        (
            "Vielen Dank, das war",
            " sehr deutlich. Erzählen Sie",
            " mir bitte von Ihrem",
            " schwierigsten Projekt",
            " des Jahres.",
        ),
        "Ja.",
        ("Entschuldigung, darf ich", " kurz etwas ergänzen?"),
    ),
    Script(
        "Japanese",
        (
            "ありがとうございます。",
            "とても分かりやすかったです。",
            "次に、去年一番",
            "難しかったプロジェクトに",
            "ついて話してください。",
        ),
        "はい。",
        ("すみません、", "一つ付け加えてもいいですか。"),
    ),
    Script(
        "Chinese",
        ("谢谢,您讲得", "很清楚。接下来请", "谈谈去年您做过的", "最困难的", "项目。"),
        "是的。",
        ("对不起,", "我可以先补充一点吗。"),
    ),
    Script(
        "Thai",
        ("ขอบคุณค่ะ คุณอธิบาย", "ได้ชัดเจนมาก ต่อไป", "ช่วยเล่าเรื่องโครงการ", "ที่ยากที่สุด", "ของปีที่แล้ว"),
        "ใช่ครับ",
        ("ขอโทษครับ ", "ขอเสริมอีกนิดได้ไหมครับ"),
    ),
)
KINDS = {"cough": "resumed", "one word": "answered", "interruption": "left"}


class Cut(Interview):
    """One interview with one reply that is cut; ``script``: its words."""

    script: Script

    def reply(self, until: float) -> None:
        """The interviewer speaks, faster than it is heard, until this much was heard."""
        began = self.now
        pieces = round(REPLY_SECONDS / PIECE_SECONDS)
        sent = said = 0
        while self.now - began < until:
            while sent < pieces and sent * PIECE_SECONDS / PACE <= self.now - began:
                self.happen(AudioSpoken(bytes(round(PIECE_SECONDS * OUTPUT_BYTES_PER_SECOND))))
                sent += 1
                while said < len(self.script.parts) and said * pieces < sent * len(self.script.parts):
                    self.happen(TextSpoken(self.script.parts[said]))
                    said += 1
                if sent == pieces:
                    self.happen(ReplyGenerated())
            self.rest(0.1)

    def cut(self, kind: str) -> str:
        """The candidate is heard, and Gemini stops; what became of it."""
        chance = self.chance
        self.acts.clear()
        seconds = {
            "cough": chance.uniform(0.1, 0.5),
            "one word": chance.uniform(0.4, 0.9),
            "interruption": chance.uniform(1.5, 4.0),
        }[kind]
        before = min(0.3, seconds / 2)
        self.speak(before)
        if self.activity:
            self.happen(SpeechBegan())
        self.happen(ReplyInterrupted(), TurnCompleted())
        self.speak(seconds - before)
        words = {"cough": (), "one word": (self.script.word,), "interruption": self.script.sentence}[kind]
        if self.activity:
            self.rest(1.3)
            self.happen(*(TextHeard("".join(words)),) if words else (), SpeechEnded())
        else:
            for word in words:
                self.rest(0.3)
                self.happen(TextHeard(word))
            self.rest(1.0)
        if words:
            self.rest(chance.uniform(0.3, 1.5))
            self.happen(AudioSpoken(bytes(48_000)), TextSpoken("OK."), ReplyGenerated())
            self.rest(1.1)
            self.happen(TurnCompleted())
        self.rest(8.0)
        return self.verdict_of(words)

    def verdict_of(self, words: Sequence[str]) -> str:
        prompts = [effect.text for _, effect in self.acts if isinstance(effect, Prompt)]
        turns = self.conversation.turns
        first = turns[0]
        assert first.text == "".join(self.script.parts)
        assert first.cut
        heard = first.spoken.removesuffix(CUT_MARK)
        assert first.text.startswith(heard)
        said = [turn.text for turn in turns if turn.speaker is Speaker.USER]
        assert said == (["".join(words)] if words else [])
        assert [turn.text for turn in turns if turn.speaker is Speaker.AI][1:] == (["OK."] if words else [])
        if len(prompts) == 1 and not words:
            assert heard[-8:].strip() in prompts[0]
            return "resumed"
        if prompts:
            return "prompted"
        if not words:
            return "forgotten"
        return "answered" if len(words) == 1 else "left"


def cases(a_kind: int) -> Iterator[tuple[str, Script, random.Random]]:
    for kind in KINDS:
        for number in range(a_kind):
            yield kind, SCRIPTS[number % len(SCRIPTS)], random.Random(f"{kind} {number}")


def simulate(a_kind: int) -> Counter[tuple[str, str, str]]:
    table: Counter[tuple[str, str, str]] = Counter()
    for kind, script, chance in cases(a_kind):
        interview = Cut(chance, Counter(), [])
        interview.script = script
        interview.happen(UpstreamReady())
        interview.rest(12)
        interview.reply(until=chance.uniform(2.0, 6.0))
        table[kind, script.name, interview.cut(kind)] += 1
    return table


def shown(table: Counter[tuple[str, str, str]]) -> str:
    verdicts = ("resumed", "answered", "left", "prompted", "forgotten")
    lines = [f"{'':26}" + "".join(f"{verdict:>11}" for verdict in verdicts)]
    for kind in KINDS:
        for script in SCRIPTS:
            counts = (table[kind, script.name, verdict] for verdict in verdicts)
            lines.append(
                f"{kind + ', ' + script.name:26}" + "".join(f"{count or '':>11}" for count in counts)
            )
    return "\n".join(lines)


@pytest.mark.slow
def test_a_cough_is_resumed_a_word_is_answered_an_interruption_is_left() -> None:
    table = simulate(A_KIND)
    print(shown(table))  # noqa: T201 - the table
    wrong = {case: count for case, count in table.items() if KINDS[case[0]] != case[2]}
    assert wrong == {}, shown(table)
    assert table.total() == A_KIND * len(KINDS)


if __name__ == "__main__":
    print(shown(simulate(A_KIND)))  # noqa: T201
