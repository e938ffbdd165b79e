"""The candidate's voice as Gemini reports it, if it does: not every model sends voice activity."""

from dataclasses import dataclass


@dataclass(slots=True)
class Activity:
    """Times are monotonic seconds.

    ``told``: it reported any. ``since_reply``: it did since the interviewer last began. ``ended_at``: when it
    reported the end of the last voice. ``utterance_over``: what is written down next is another utterance.
    """

    told: bool = False
    speaking: bool = False
    since_reply: bool = False
    ended_at: float | None = None
    utterance_over: bool = False

    def began(self) -> None:
        """Note that the candidate began to speak."""
        self.told = self.since_reply = self.speaking = self.utterance_over = True
        self.ended_at = None

    def ended(self, now: float) -> None:
        """Note that the candidate stopped."""
        self.speaking = False
        self.ended_at = now

    def reply_began(self) -> None:
        """Note that the interviewer began: all that was said belongs before that."""
        self.speaking = self.since_reply = False
        self.ended_at = None
