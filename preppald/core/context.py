"""The application's knowledge of an interview before the start. All of it is data, from people and their files."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Context:
    """Describe an interview. Members are empty where the application says nothing.

    ``seconds``: how long the interview is meant to last; 0: unsaid. ``system_prompt``: a block's whole instruction,
    used verbatim; only a block has one. ``language``: a code like "en" or "zh".
    """

    job_description: str = field(default="", repr=False)
    resume: str = field(default="", repr=False)
    persona: str = field(default="", repr=False)
    seconds: float = 0.0
    system_prompt: str = field(default="", repr=False)
    language: str = ""


NOTHING_KNOWN = Context()
