"""What the application knows of an interview before it begins. All of it is data, from people and their files."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Context:
    """Empty where the application says nothing. ``seconds``: how long the interview is meant to last; 0: unsaid."""

    job_description: str = field(default="", repr=False)
    resume: str = field(default="", repr=False)
    persona: str = field(default="", repr=False)
    seconds: float = 0.0


NOTHING_KNOWN = Context()
