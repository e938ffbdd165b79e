"""The rules of each Gemini Live model, so that a setting which it would refuse never reaches it.

Source: Google's model pages and recorded probes up to November 2026; see docs/protocol.md, "Models, voices and
prices".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

# 2.5 closes on an unknown voice; 3.8 speaks with its default and reports nothing. So we warn of one. It may be newer
# than this list, or the operator's own.
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

    ``language_codes`` and ``vocabulary``: a setup may say in which languages the candidate is to be heard, and with
    which terms. ``served_until``: the day on which Google shuts it down; ``announced``: that Google's own page says so.
    """

    name: str
    thinking: Sequence[str] = ()
    must_think: bool = False
    notes: bool = False
    unfit: str = ""
    slow: Mapping[str, float] = field(default_factory=dict)
    language_codes: bool = False
    vocabulary: bool = False
    served_until: date | None = None
    announced: bool = True


DEFAULT = "gemini-3.8-live"
_KNOWN = (
    Model(DEFAULT, notes=True, language_codes=True, vocabulary=True),
    Model(
        "gemini-3.8-live-extended-thinking",
        ("low", "medium", "high"),
        must_think=True,
        notes=True,
        slow={"low": 12.0, "medium": 16.0, "high": 24.0},
        language_codes=True,
        vocabulary=True,
    ),
    Model(
        "gemini-3.1-flash-live-preview",
        ("minimal", "low", "medium", "high"),
        slow={"medium": 10.0, "high": 14.0},
        language_codes=True,
        served_until=date(2026, 11, 17),
        announced=False,
    ),
    # 2.5 counts thinking in tokens (thinkingBudget) and refuses levels.
    Model("gemini-2.5-flash-native-audio-preview-12-2025", served_until=date(2026, 11, 17), announced=False),
    Model("gemini-2.5-flash-native-audio-latest"),
    Model("gemini-live-2.5-flash-preview", served_until=date(2025, 12, 9)),
    Model("gemini-2.0-flash-live-001", served_until=date(2025, 12, 9)),
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


def faults(
    model_name: str, thinking: str, today: date, *, setting: str = "PREPPALD_GEMINI_MODEL"
) -> Iterator[str]:
    """Yield the faults for which Gemini would refuse this combination. ``thinking``: a level, or empty.

    ``setting``: the one that names the model.
    """
    model = model_of(model_name)
    if model.served_until is not None and model.announced and today >= model.served_until:
        gone = f"was shut down on {model.served_until.isoformat()}"
        yield f"{setting}: {model_name!r} {gone}; use {DEFAULT}"
    elif model.unfit:
        yield f"{setting}: {model_name!r} {model.unfit}; use {DEFAULT}"
    elif model.must_think and not thinking:
        yield f"PREPPALD_THINKING: is not set, but {model_name} needs it: one of {', '.join(model.thinking)}"
    elif thinking and thinking not in model.thinking:
        takes = f"takes {', '.join(model.thinking)}" if model.thinking else "refuses a thinking level"
        yield f"PREPPALD_THINKING: {thinking!r} does not suit {model_name}, which {takes}"


def warnings(names: Sequence[str], voice: str, today: date) -> Iterator[str]:
    """Yield warnings of values that Gemini may not accept for long, or may not take as they are meant."""
    setting = "PREPPALD_GEMINI_MODEL" if len(names) == 1 else "PREPPALD_GEMINI_MODELS"
    for name in names:
        yield from _dates(name, today, setting)
    if voice not in VOICES:
        yield (
            f"PREPPALD_VOICE: {voice!r} is not one of Gemini's thirty, {', '.join(sorted(VOICES))}: a model may "
            "refuse this voice, or speak with another"
        )


def _dates(model_name: str, today: date, setting: str) -> Iterator[str]:
    until = model_of(model_name).served_until
    if until is not None and not model_of(model_name).announced:
        yield (
            f"{setting}: {model_name!r} is said to be shut down on {until.isoformat()}, though not on a "
            f"page of Google's; {DEFAULT} has no such date"
        )
    elif until is not None and today < until:
        yield f"{setting}: Google shuts {model_name!r} down on {until.isoformat()}; use {DEFAULT}"
