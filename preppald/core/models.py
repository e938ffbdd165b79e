"""What each Gemini Live model accepts, so that a setting which it would refuse never reaches it.

Source: Google's model pages and recorded probes up to November 2026 (reference §10 and §11).
"""

from collections.abc import Iterator
from dataclasses import dataclass
import enum

# 2.5 closes on an unknown voice; 3.8 speaks with its default without a word. So it is checked here.
VOICES = frozenset(
    [
        "Zephyr",
        "Puck",
        "Charon",
        "Kore",
        "Fenrir",
        "Leda",
        "Orus",
        "Aoede",
        "Callirrhoe",
        "Autonoe",
        "Enceladus",
        "Iapetus",
        "Umbriel",
        "Algieba",
        "Despina",
        "Erinome",
        "Algenib",
        "Rasalgethi",
        "Laomedeia",
        "Achernar",
        "Alnilam",
        "Schedar",
        "Gacrux",
        "Pulcherrima",
        "Achird",
        "Zubenelgenubi",
        "Vindemiatrix",
        "Sadachbia",
        "Sadaltager",
        "Sulafat",
    ]
)


class Thinking(enum.Enum):
    """What a model says to ``thinkingConfig``."""

    REFUSED = "must be absent"
    REQUIRED = "must be given"
    ALLOWED = "may be given"


@dataclass(frozen=True, slots=True)
class Model:
    """``history_in_setup``: a fresh session may be seeded with what was said, by historyConfig."""

    name: str
    thinking: Thinking
    available: bool = True


_KNOWN = (
    Model("gemini-3.8-live", Thinking.REFUSED),
    Model("gemini-3.8-live-extended-thinking", Thinking.REQUIRED),
    Model("gemini-3.1-flash-live-preview", Thinking.ALLOWED),
    Model("gemini-2.5-flash-native-audio-preview-12-2025", Thinking.ALLOWED),
    Model("gemini-2.5-flash-native-audio-latest", Thinking.ALLOWED),
    Model("gemini-live-2.5-flash-preview", Thinking.ALLOWED, available=False),
    Model("gemini-2.0-flash-live-001", Thinking.ALLOWED, available=False),
)
MODELS = {model.name: model for model in _KNOWN}


def model_of(name: str) -> Model:
    """The model's rules; a model that is not known here is taken to be like the default one."""
    return MODELS.get(name.removeprefix("models/"), Model(name, Thinking.REFUSED))


def faults(model_name: str, voice: str) -> Iterator[str]:
    """Why Gemini would refuse this combination; nothing where it would not."""
    if not model_of(model_name).available:
        yield f"PREPPALD_GEMINI_MODEL: {model_name!r} was shut down; use gemini-3.8-live"
    if voice not in VOICES:
        yield f"PREPPALD_VOICE: {voice!r} is not one of {', '.join(sorted(VOICES))}"
