"""The rules of each Gemini Live model, so that a setting which it would refuse never reaches it.

Source: Google's model pages and recorded probes up to November 2026; see docs/protocol.md, "Models, voices and
prices".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

# 2.5 closes on an unknown voice; 3.8 speaks with its default and reports nothing. So we check the voice ourselves.
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


@dataclass(frozen=True, slots=True)
class Model:
    """``thinking``: the thinking levels it takes; a model without any refuses a setup that names one.

    ``must_think``: it refuses a setup that names none. ``unfit``: why it holds no interviews. ``notes``: it reads
    client content in mid-session without being interrupted by it (measured on 3.8: 24 times of 24).
    ``slow``: the seconds that an answer may take at a thinking level, where that is more than usual. Nothing is
    published about that: these are assumed, on the side of patience.
    """

    name: str
    thinking: Sequence[str] = ()
    must_think: bool = False
    notes: bool = False
    unfit: str = ""
    slow: Mapping[str, float] = field(default_factory=dict)


DEFAULT = "gemini-3.8-live"
_KNOWN = (
    Model(DEFAULT, notes=True),
    Model(
        "gemini-3.8-live-extended-thinking",
        ("low", "medium", "high"),
        must_think=True,
        notes=True,
        slow={"low": 12.0, "medium": 16.0, "high": 24.0},
    ),
    Model(
        "gemini-3.1-flash-live-preview",
        ("minimal", "low", "medium", "high"),
        slow={"medium": 10.0, "high": 14.0},
    ),
    # 2.5 counts thinking in tokens (thinkingBudget) and refuses levels.
    Model("gemini-2.5-flash-native-audio-preview-12-2025"),
    Model("gemini-2.5-flash-native-audio-latest"),
    Model("gemini-live-2.5-flash-preview", unfit="was shut down"),
    Model("gemini-2.0-flash-live-001", unfit="was shut down"),
    Model("gemini-2.0-flash-exp", unfit="was shut down"),
    Model("gemini-live-2.5-flash-native-audio", unfit="is served on Vertex only"),
    Model("gemini-3.5-live-translate-preview", unfit="only translates"),
    Model("gemini-3.5-transcribe-live", unfit="only transcribes"),
)
THINKING_LEVELS = ("minimal", "low", "medium", "high")
MODELS = {model.name: model for model in _KNOWN}


def model_of(name: str) -> Model:
    """Return the model's rules; an unknown model is taken to be like the default one."""
    return MODELS.get(name.removeprefix("models/"), Model(name))


def faults(model_name: str, voice: str, thinking: str) -> Iterator[str]:
    """Yield the faults for which Gemini would refuse this combination. ``thinking``: a level, or empty."""
    model = model_of(model_name)
    if model.unfit:
        yield f"PREPPALD_GEMINI_MODEL: {model_name!r} {model.unfit}; use {DEFAULT}"
    elif model.must_think and not thinking:
        yield f"PREPPALD_THINKING: is not set, but {model_name} needs it: one of {', '.join(model.thinking)}"
    elif thinking and thinking not in model.thinking:
        takes = f"takes {', '.join(model.thinking)}" if model.thinking else "refuses a thinking level"
        yield f"PREPPALD_THINKING: {thinking!r} does not suit {model_name}, which {takes}"
    if voice not in VOICES:
        yield f"PREPPALD_VOICE: {voice!r} is not one of {', '.join(sorted(VOICES))}"
