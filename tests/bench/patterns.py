"""What goes over the wire in a benchmark: who sends how much how often, and where the numbers come from."""

from dataclasses import dataclass

UP_BYTES_PER_SECOND = 32_000
DOWN_BYTES_PER_SECOND = 48_000
# A microphone's clock is not the server's, so that its chunks wander through the server's tick: several times in an
# hour. Here once in a measurement of five seconds, that the delay does not hang on where in a tick a session began.
MICROPHONE_SLOWNESS = 1.004


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a browser cuts its microphone's audio. ``chunk_bytes``: PCM in one message."""

    name: str
    words: str
    messages_per_second: int
    chunk_bytes: int


PATTERNS = {
    pattern.name: pattern
    for pattern in (
        # An AudioWorklet's quantum: 128 samples at 48 kHz are 42.7 at 16 kHz. What the existing page sends.
        Pattern("quanta", "375 messages of 86 bytes a second", 375, 86),
        Pattern("20ms", "20 ms chunks, 50 a second", 50, UP_BYTES_PER_SECOND // 50),
        Pattern("100ms", "100 ms chunks, 10 a second", 10, UP_BYTES_PER_SECOND // 10),
    )
}

# Gemini's parts are 40 ms of speech. It speaks a second and is silent a second, each session at its own time.
PART_SECONDS = 0.040
PART_BYTES = round(DOWN_BYTES_PER_SECOND * PART_SECONDS)
PARTS_A_BREATH = 25
# A fragment of either transcript: five a second.
PARTS_A_FRAGMENT = 5
