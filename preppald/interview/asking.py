"""Does what a candidate's page asks for beside its sound: a pause, a typed answer, another codec, the end."""

from collections.abc import Callable, Sequence

import trio

from preppald.browser.connection import Browser
from preppald.core import frames
from preppald.core.endings import MISUSED, USER_ENDED
from preppald.core.events import (
    BrowserEvent,
    ClientMisused,
    EndRequested,
    HoldAsked,
    Preferred,
    TextAnswered,
)
from preppald.core.text_answers import TOO_EARLY, TextRefused
from preppald.interview.dialogue import Dialogue
from preppald.interview.parts import Parts
from preppald.interview.performer import Performer


class Asking:
    """One interview's. ``keep``: called with a typed answer that is to be on disk before it is passed on."""

    def __init__(
        self, dialogue: Dialogue, parts: Parts, performer: Performer, keep: Callable[[TextAnswered], None]
    ) -> None:
        self._dialogue = dialogue
        self._parts = parts
        self._performer = performer
        self._keep = keep

    def hear(self, browser: Browser, events: Sequence[BrowserEvent]) -> None:
        """Do what the browser that has the seat asks for; any other was replaced."""
        if browser is not self._parts.seat.browser:
            return
        for event in events:
            match event:
                case EndRequested():
                    self._parts.outcome.end(USER_ENDED, "the candidate pressed end")
                case HoldAsked():
                    self.hold(on=event.on)
                case TextAnswered():
                    self._take_text(event)
                case Preferred():
                    browser.prefer(opus=event.opus)
                case ClientMisused():
                    words = f"{event.messages} messages in a row that cannot be read"
                    self._parts.outcome.end(MISUSED, words)

    def hold(self, *, on: bool) -> None:
        """Begin or end a pause to think, once the interview has begun."""
        if self._dialogue.started and not self._dialogue.over:
            self._performer.perform(self._parts.hold.ask(trio.current_time(), on=on))

    def _take_text(self, event: TextAnswered) -> None:
        """Take an answer that the candidate typed into the transcript, and have it kept where it is new."""
        if self._dialogue.over:
            return
        parts, now = self._parts, trio.current_time()
        found = parts.answers.take(event, now) if self._dialogue.started else TOO_EARLY
        if isinstance(found, TextRefused):
            parts.seat.post(frames.error(found.code, found.words, retry_after_seconds=found.retry_after))
        elif found is not None:
            parts.seat.gather()
            self._performer.perform([*parts.hold.end(now), *parts.conversation.receive(found, now)])
            parts.evidence.note(found, now)
            parts.seat.flush()
            self._keep(found)

    def let_go(self) -> None:
        """Let go of the session, which is over: it is freed at once where nothing refers to it in a circle."""
        self._keep = _nobody

    def pass_on(self, answer: TextAnswered) -> None:
        """Give the interviewer a typed answer, which is in the journal by now."""
        if not self._dialogue.over:
            self._parts.client.write(answer.text)


def _nobody(_answer: TextAnswered) -> None:
    """Keep nothing, as after the end."""
