"""Checks a setup by the rules of its model.

The rules are the Developer API's of November 2026. A setup that breaks a rule ends with the close frame that was seen
on the real service.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from preppald.simulator.endings import HangUp, cut, hang_up
from preppald.simulator.vad import (
    DEFAULT_PREFIX_PADDING_MS,
    DEFAULT_SILENCE_DURATION_MS,
    THRESHOLD_HIGH_SENSITIVITY,
    THRESHOLD_LOW_SENSITIVITY,
    VadSettings,
)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The rules of one model."""

    thinking: Literal["forbidden", "required", "level", "budget"]
    proactivity: bool = False
    affective_dialog: bool = False
    blocking_tools: bool = True
    tools_block: bool = False
    """Whether a tool without `behavior` is BLOCKING."""
    content_mid_session: bool = True
    """Whether clientContent is more than initial history."""
    speaks_vad: bool = True
    """voiceActivity messages, and input transcription as one whole utterance (3.x); else as deltas (2.5)."""
    media_chunks: Literal["ignored", "refused"] = "refused"
    checks_voice: bool = False


_NATIVE_AUDIO_2_5 = Model(
    thinking="budget",
    proactivity=True,
    affective_dialog=True,
    tools_block=True,
    speaks_vad=False,
    checks_voice=True,
)
MODELS = {
    "models/gemini-3.8-live": Model(thinking="forbidden", media_chunks="ignored"),
    "models/gemini-3.8-live-extended-thinking": Model(
        thinking="required", blocking_tools=False, media_chunks="ignored"
    ),
    "models/gemini-3.1-flash-live-preview": Model(
        thinking="level", tools_block=True, content_mid_session=False
    ),
    "models/gemini-2.5-flash-native-audio-preview-12-2025": _NATIVE_AUDIO_2_5,
    "models/gemini-2.5-flash-native-audio-latest": _NATIVE_AUDIO_2_5,
}


@dataclass(frozen=True, slots=True)
class Compression:
    trigger_tokens: int
    target_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A setup that passed the rules."""

    model_name: str
    model: Model
    vad: VadSettings | None
    """None: the client says itself when activity starts and ends."""
    interrupts: bool
    transcribe_input: bool
    transcribe_output: bool
    resumption: bool
    handle: str | None
    compression: Compression | None
    initial_history: bool
    instruction_chars: int
    blocking: dict[str, bool] = field(default_factory=dict)
    """The declared functions: whether each one is BLOCKING."""


def check_setup(setup: dict[str, Any], *, version: str, context_tokens: int) -> Setup:
    """Return the setup (as protojson.read gives it) checked. Raise HangUp with the real service's reason.

    `version` is the API version of the URL, `context_tokens` the model's window.
    """
    name = setup.get("model", "")
    if name not in MODELS:
        raise hang_up("bad-model", model=name or "models/", version=version)
    model = MODELS[name]
    generation = setup.get("generationConfig", {})
    _check_modalities(generation, name)
    _check_thinking(generation.get("thinkingConfig"), model)
    _check_extras(setup, generation, model)
    blocking = _functions(setup.get("tools", ()), model)
    realtime = setup.get("realtimeInputConfig", {})
    resumption = setup.get("sessionResumption")
    return Setup(
        model_name=name,
        model=model,
        vad=_vad(realtime.get("automaticActivityDetection", {})),
        interrupts=realtime.get("activityHandling") != "NO_INTERRUPTION",
        transcribe_input="inputAudioTranscription" in setup,
        transcribe_output="outputAudioTranscription" in setup,
        resumption=resumption is not None,
        handle=(resumption or {}).get("handle") or None,
        compression=_compression(setup.get("contextWindowCompression"), context_tokens),
        initial_history=setup.get("historyConfig", {}).get("initialHistoryInClientContent", False),
        instruction_chars=sum(
            len(part.get("text", "")) for part in setup.get("systemInstruction", {}).get("parts", ())
        ),
        blocking=blocking,
    )


def _check_modalities(generation: dict[str, Any], name: str) -> None:
    modalities = generation.get("responseModalities", ["AUDIO"])
    if modalities == ["AUDIO"]:
        return
    if modalities == ["TEXT"] and "2.5" in name:
        raise hang_up("text-output")
    raise HangUp(
        1007,
        cut(
            f"The requested combination of response modalities ({', '.join(modalities)}) is not supported by "
            f"the model. {name}"
        ),
    )


def _check_thinking(thinking: dict[str, Any] | None, model: Model) -> None:
    level = (thinking or {}).get("thinkingLevel")
    match model.thinking:
        case "forbidden" if thinking is not None:
            raise hang_up("thinking-unsupported")
        case "required" if level is None:
            raise hang_up("thinking-missing")
        case "required" if level not in ("LOW", "MEDIUM", "HIGH"):
            raise HangUp(1007, f"Thinking level {level} is not supported for this model.")
        case "level" if level == "XHIGH":
            raise HangUp(1007, f"Thinking level {level} is not supported for this model.")
        case "budget" if level is not None:
            raise hang_up("thinking-unsupported")


def _check_extras(setup: dict[str, Any], generation: dict[str, Any], model: Model) -> None:
    if "proactivity" in setup and not model.proactivity:
        raise HangUp(
            1007, "Invalid JSON payload received. Unknown name \"proactivity\" at 'setup': Cannot find field."
        )
    if "enableAffectiveDialog" in generation and not model.affective_dialog:
        raise hang_up("invalid-argument")
    speech = generation.get("speechConfig", {})
    voice = speech.get("voiceConfig", {}).get("prebuiltVoiceConfig", {}).get("voiceName")
    if model.checks_voice and voice is not None and voice not in VOICES:
        raise HangUp(1007, cut(f"No matching speaker voice found for name: {voice}"))


def _functions(tools: list[dict[str, Any]] | tuple[()], model: Model) -> dict[str, bool]:
    blocking = {}
    for tool in tools:
        for function in tool.get("functionDeclarations", ()):
            behavior = function.get("behavior", "BLOCKING" if model.tools_block else "NON_BLOCKING")
            if not function.get("name") or (behavior == "BLOCKING" and not model.blocking_tools):
                raise hang_up("invalid-argument")
            blocking[function["name"]] = behavior == "BLOCKING"
    return blocking


def _vad(detection: dict[str, Any]) -> VadSettings | None:
    if detection.get("disabled", False):
        return None
    low_start = detection.get("startOfSpeechSensitivity") == "START_SENSITIVITY_LOW"
    low_end = detection.get("endOfSpeechSensitivity") == "END_SENSITIVITY_LOW"
    prefix = detection.get("prefixPaddingMs", DEFAULT_PREFIX_PADDING_MS)
    silence = detection.get("silenceDurationMs", DEFAULT_SILENCE_DURATION_MS)
    if prefix < 0 or silence < 0:
        raise hang_up("invalid-argument")
    return VadSettings(
        start_threshold=THRESHOLD_LOW_SENSITIVITY if low_start else THRESHOLD_HIGH_SENSITIVITY,
        # With low end sensitivity the model is slow to believe in an end: quiet speech still counts.
        end_threshold=THRESHOLD_HIGH_SENSITIVITY / 2 if low_end else THRESHOLD_HIGH_SENSITIVITY,
        prefix_padding_ms=prefix,
        silence_duration_ms=silence,
    )


def _compression(compression: dict[str, Any] | None, context_tokens: int) -> Compression | None:
    """Return trigger and target, by default as documented: 80 % of the window, and half the trigger."""
    if compression is None:
        return None
    trigger = compression.get("triggerTokens", context_tokens * 8 // 10)
    target = compression.get("slidingWindow", {}).get("targetTokens", trigger // 2)
    if not 0 < target < trigger <= context_tokens:
        raise hang_up("invalid-argument")
    return Compression(trigger, target)
