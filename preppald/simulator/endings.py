"""The endings of a simulated connection, and the real service's close frames."""

from dataclasses import dataclass

# RFC 6455: a control frame carries at most 125 bytes, two of which are the code.
CLOSE_REASON_BYTES = 123


def cut(reason: str) -> str:
    """Return `reason` cut to fit into a close frame: at 123 bytes of UTF-8, as the real service does."""
    return reason.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore")


class Ending(Exception):
    """Raised inside a connection's tasks to end that connection, and nothing else."""


@dataclass(eq=False)
class HangUp(Ending):
    """The simulator sends a close frame."""

    code: int
    reason: str


class Reset(Ending):
    """The simulator drops the connection without a close frame (the peer sees 1006)."""


class FellSilent(Ending):
    """Half open: the socket stays, but sends nothing more, not even a pong."""


@dataclass(eq=False)
class PeerLeft(Ending):
    """The client closed; `code` is None when the client vanished without a close frame."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CloseFrame:
    code: int
    reason: str


# Verbatim reasons of the real service, by the name a scenario uses. `{model}` and `{version}` are filled in.
CLOSE_FRAMES: dict[str, CloseFrame] = {
    "bad-key": CloseFrame(1007, "API key not valid. Please pass a valid API key."),
    "no-key": CloseFrame(
        1008,
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API.",
    ),
    "key-leaked": CloseFrame(1008, "Your API key was reported as leaked. Please use another API key."),
    "key-not-found": CloseFrame(1007, "API Key not found. Please pass a valid API key."),
    "key-suspended": CloseFrame(1008, "Permission denied: Consumer 'api_key:(key)' has been suspended."),
    "key-referer": CloseFrame(1008, "Requests from referer <empty> are blocked."),
    "api-disabled": CloseFrame(
        1008,
        "Generative Language API has not been used in project 123456789012 before or it is disabled. Enable it "
        "by visiting https://console.developers.google.com/apis/api/generativelanguage.googleapis.com",
    ),
    "location": CloseFrame(1007, "User location is not supported for the API use."),
    "bad-model": CloseFrame(
        1008,
        "{model} is not found for API version {version}, or is not supported for bidiGenerateContent. "
        "Call ModelService.ListModels to see the list of available models and their supported methods.",
    ),
    "publisher-model": CloseFrame(
        1008, "Publisher Model `projects/p/locations/us-central1/publishers/google/{model}` was not found."
    ),
    "unknown-field": CloseFrame(
        1007, "Invalid JSON payload received. Unknown name \"bogusField\" at 'setup': Cannot find field."
    ),
    "invalid-argument": CloseFrame(1007, "Request contains an invalid argument."),
    "precondition": CloseFrame(1007, "Precondition check failed."),
    "thinking-unsupported": CloseFrame(1007, "Thinking level is not supported for this model."),
    "thinking-missing": CloseFrame(1007, "Thinking level must be specified for this model."),
    "thinking-minimal": CloseFrame(1007, "Thinking level MINIMAL is not supported for this model."),
    "modalities": CloseFrame(
        1007,
        "The requested combination of response modalities (TEXT) is not supported by the model. {model}",
    ),
    "text-output": CloseFrame(1007, "Text output is not supported for native audio output model."),
    "voice": CloseFrame(1007, "No matching speaker voice found for name: alloy"),
    "go-away-ignored": CloseFrame(
        1008,
        "Connection aborted because the client failed to close the connection after receiving a GoAway "
        "signal once the session duration limit was reached.",
    ),
    "aborted": CloseFrame(1008, "The operation was aborted."),
    "session-not-found": CloseFrame(1008, "BidiGenerateContent session not found"),
    "history-not-found": CloseFrame(1008, "BidiGenerateContent session history not found"),
    "entity-not-found": CloseFrame(1008, "Requested entity was not found."),
    "not-implemented": CloseFrame(1008, "Operation is not implemented, or supported, or enabled."),
    "quota-metric": CloseFrame(
        1008, "Quota exceeded for quota metric 'Bidi generate content requests' and limit 'per minute'."
    ),
    "quota": CloseFrame(
        1011,
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
    ),
    "credits-depleted": CloseFrame(
        1011,
        "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage "
        "your project and billing.",
    ),
    "internal": CloseFrame(1011, "Internal error encountered."),
    "internal-occurred": CloseFrame(1011, "Internal error occurred."),
    "unavailable": CloseFrame(1011, "The service is currently unavailable."),
    "deadline": CloseFrame(1011, "Deadline expired before operation could complete."),
    "normal": CloseFrame(1000, ""),
    "going-away": CloseFrame(1001, ""),
}


def hang_up(name: str, *, model: str = "models/unknown", version: str = "v1beta") -> HangUp:
    """Return the ending with the close frame called `name` in CLOSE_FRAMES."""
    frame = CLOSE_FRAMES[name]
    return HangUp(frame.code, cut(frame.reason.format(model=model, version=version)))
