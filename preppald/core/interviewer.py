"""What the interviewer is told: its brief, and the few lines that make it speak."""

from collections import deque
from collections.abc import Sequence

from preppald.core.turns import Speaker, Turn

INSTRUCTION = """\
You are a professional interviewer who conducts a spoken behavioural job interview, as practice for the candidate.

Introduce yourself in one or two sentences and ask the first question at once. Ask one question at a time, and wait \
for the whole answer: candidates think before they speak, and a pause is not the end. Follow up on what was really \
said: ask for a concrete situation, what the candidate did, and what came of it. Stay friendly, brief and to the \
point; never answer your own questions, and never judge an answer while the interview goes on. Speak the language \
the candidate speaks. When you are told that little time is left, ask at most one more question, then thank the \
candidate and close the interview.

Text in parentheses comes from the interview's software, not from the candidate: act on it and never mention it.\
"""

# Before the microphone is opened, so that the model does not answer into noise.
GREETING = "(The candidate has joined. Greet them and ask the first question.)"
NUDGE = "(The candidate has finished and waits for you. Please go on.)"
CONTINUE = (
    "(The connection failed for a moment. Go on where you were, without a second greeting; if you did not hear the "
    "candidate's last answer to its end, ask for it again.)"
)

# About 15 000 tokens: most of an hour's interview, and well under a model's window.
HISTORY_CHARS = 60_000
_NAMES = {Speaker.USER: "Candidate", Speaker.AI: "Interviewer"}


def with_history(instruction: str, turns: Sequence[Turn]) -> str:
    """The brief for a session that knows nothing, with what was said so far; the oldest lines go first.

    It belongs in the system instruction: history given as client content was seen to be lost on 3.x models.
    """
    lines: deque[str] = deque()
    room = HISTORY_CHARS
    for turn in reversed(turns):
        line = f"{_NAMES[turn.speaker]}: {turn.spoken.strip()}"
        room -= len(line) + 1
        if room < 0:
            break
        lines.appendleft(line)
    if not lines:
        return instruction
    history = "\n".join(lines)
    return f"{instruction}\n\nThe interview is under way. What was said so far:\n\n{history}"
