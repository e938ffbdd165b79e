"""The report on a call, for people and machines."""

from dataclasses import dataclass
import json

from preppald.candidate.endings import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Seconds are the candidate's: real ones times ``--speed``.

    ``audio_bytes_in``: the interviewer's PCM at 24 kHz; ``audio_bytes_out``: ours at 16 kHz, silence included.
    ``audio_bytes_unheard``: of the former, the part that an interruption cut off. ``reply_latencies``: for each answer,
    seconds from its end to its reply's first audio, None where none came. ``codec``: of the last connection.
    """

    outcome: Outcome
    interview_id: str = ""
    seconds: float = 0.0
    audio_bytes_in: int = 0
    audio_bytes_out: int = 0
    audio_bytes_unheard: int = 0
    user_turns: int = 0
    ai_turns: int = 0
    reply_latencies: tuple[float | None, ...] = ()
    reconnects: int = 0
    codec: str = "pcm"

    @property
    def sentence(self) -> str:
        """Return the ending, the duration and the replies' latency as a sentence."""
        numbers = [f"{self.seconds:.1f} s"]
        replies = [f"{latency:.2f} s" for latency in self.reply_latencies if latency is not None]
        if replies:
            numbers.append(f"replies after {', '.join(replies)}")
        if self.reconnects:
            numbers.append(f"reconnected {self.reconnects}x")
        return f"{self.outcome.sentence} ({'; '.join(numbers)})"

    def as_json(self) -> str:
        """Return one line; the names are part of the command's interface."""
        return json.dumps(
            {
                "interview": self.interview_id,
                "ending": self.outcome.ending.label,
                "status": self.outcome.ending.status,
                "close_code": self.outcome.close_code,
                "reason": self.outcome.reason,
                "seconds": round(self.seconds, 3),
                "audio_bytes_in": self.audio_bytes_in,
                "audio_bytes_out": self.audio_bytes_out,
                "audio_bytes_unheard": self.audio_bytes_unheard,
                "turns": {"user": self.user_turns, "ai": self.ai_turns},
                "reply_latencies": list(self.reply_latencies),
                "reconnects": self.reconnects,
                "codec": self.codec,
            }
        )
