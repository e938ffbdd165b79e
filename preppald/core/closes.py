"""Names the cause of a closed or refused connection to Gemini, and the remedy.

Failures of key, model, region, quota and money arrive as close frames after a successful upgrade, with a reason cut
at 123 bytes. The reason's text decides, the code comes second. Google rewords and recapitalises its reasons, so they
are matched by the words that carry the meaning, anywhere in the reason, without case.
Source: the close frames observed on Gemini Live up to November 2026, in docs/protocol.md, "Close frames".
"""

from dataclasses import dataclass
import enum


class Remedy(enum.Enum):
    """The remedies after a failure."""

    NONE = "it would fail again: the interview ends with its cause"
    WAIT = "quota: no retry before a pause, and none by other interviews either"
    FRESH = "a new session, once; the handle is of no use"
    RESUME = "resume with the handle, or a new session where there is none"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause by its name in logs and metrics; ``words`` give an operator the event and the remedy."""

    name: str
    remedy: Remedy
    words: str


BAD_KEY = Cause("bad_key", Remedy.NONE, "Gemini refused the API key: check GEMINI_API_KEY")
LEAKED_KEY = Cause(
    "leaked_key", Remedy.NONE, "Google blocked the API key because it was published: make a new one"
)
RESTRICTED_KEY = Cause(
    "restricted_key", Remedy.NONE, "the API key's restrictions refuse this machine, or this API: change them"
)
SUSPENDED = Cause("suspended", Remedy.NONE, "Google suspended the API key or its project")
API_DISABLED = Cause(
    "api_disabled",
    Remedy.NONE,
    "the key's project has not enabled the Gemini API: enable it in Google's console",
)
DENIED = Cause("denied", Remedy.NONE, "Gemini refuses the key's project: check its permissions")
NO_KEY = Cause("no_key", Remedy.NONE, "Gemini saw no API key: a proxy may strip the x-goog-api-key header")
BAD_LOCATION = Cause("bad_location", Remedy.NONE, "Gemini does not serve this machine's country")
BAD_MODEL = Cause(
    "bad_model", Remedy.NONE, "Gemini does not know the model for Live: check PREPPALD_GEMINI_MODEL"
)
BAD_SETUP = Cause("bad_setup", Remedy.NONE, "Gemini refused the setup: a setting does not suit the model")
BAD_VOICE = Cause("bad_voice", Remedy.NONE, "Gemini does not know the voice: check PREPPALD_VOICE")
PRECONDITION = Cause("precondition", Remedy.NONE, "Gemini refuses this model or project as it is configured")
INVALID_ARGUMENT = Cause("invalid_argument", Remedy.FRESH, "Gemini could not read what it was sent")
GO_AWAY_IGNORED = Cause("go_away_ignored", Remedy.RESUME, "Gemini's connection reached its age limit")
ABORTED = Cause("aborted", Remedy.RESUME, "Gemini aborted an idle connection")
UNKNOWN_HANDLE = Cause("unknown_handle", Remedy.FRESH, "Gemini no longer knows the session to resume")
NOT_FOUND = Cause("not_found", Remedy.FRESH, "Gemini lost what the session referred to")
QUOTA = Cause("quota", Remedy.WAIT, "Gemini's quota is used up: check the project's plan and billing")
CREDIT = Cause(
    "credit",
    Remedy.WAIT,
    "the Gemini project's credit is used up, or it has no billing: pay, or change its plan",
)
INTERNAL = Cause("internal", Remedy.RESUME, "Gemini had an internal error")
OVERLOADED = Cause("overloaded", Remedy.RESUME, "Gemini is overloaded")
CONNECTION_CAP = Cause("connection_cap", Remedy.RESUME, "Gemini's connection reached its age limit")
NETWORK = Cause("network", Remedy.RESUME, "the connection to Gemini broke")
CLOSED = Cause("closed", Remedy.RESUME, "Gemini closed the connection normally")
UNRECOGNISED = Cause("unrecognised", Remedy.RESUME, "Gemini closed the connection for an unknown reason")
# Causes that never come as close frames.
DNS = Cause("dns", Remedy.RESUME, "Gemini's host name cannot be resolved")
REFUSED = Cause("refused", Remedy.RESUME, "nothing accepts connections at Gemini's address")
TLS = Cause("tls", Remedy.NONE, "Gemini's certificate is not acceptable")
TIMED_OUT = Cause("timed_out", Remedy.RESUME, "Gemini did not answer in time")
SETUP_TIMED_OUT = Cause("setup_timed_out", Remedy.RESUME, "Gemini did not accept the setup in time")
UNAUTHORISED = Cause("unauthorised", Remedy.NONE, "Gemini refused the API key: check GEMINI_API_KEY")
HTTP_REFUSED = Cause("http_refused", Remedy.NONE, "Gemini's address refuses WebSocket connections")
HTTP_FAILED = Cause("http_failed", Remedy.RESUME, "Gemini's address answered with an HTTP error")
PROTOCOL = Cause("protocol", Remedy.RESUME, "the WebSocket connection to Gemini failed")
SILENT = Cause("silent", Remedy.RESUME, "Gemini sent nothing for too long, and answered no ping")
STALLED = Cause("stalled", Remedy.RESUME, "Gemini took nothing more")

# The key, or the project behind it, is refused: no interview can be held until somebody mends that.
KEY_TROUBLES = frozenset(
    {
        BAD_KEY,
        LEAKED_KEY,
        SUSPENDED,
        RESTRICTED_KEY,
        API_DISABLED,
        DENIED,
        UNAUTHORISED,
    }
)
PROXY = Cause("proxy", Remedy.RESUME, "the proxy of HTTPS_PROXY let no connection to Gemini through")
PROXY_REFUSED = Cause(
    "proxy_refused", Remedy.NONE, "the proxy of HTTPS_PROXY refuses connections to Gemini's host"
)
DESCRIPTORS = Cause(
    "descriptors",
    Remedy.RESUME,
    "this process or machine has no file descriptors left: raise LimitNOFILE= or fs.file-max",
)

# Every cause, in the order above.
CAUSES = tuple(value for value in list(globals().values()) if isinstance(value, Cause))
# After these Gemini never saw the try.
UNASKED = frozenset({DNS, REFUSED, HTTP_FAILED, PROXY, DESCRIPTORS})
# These may be the fault of the model that was asked for: another one may work. Key, quota, network and handle are no
# model's fault; a voice or a setting that it refuses is taken for its own.
OF_THE_MODEL = frozenset(
    {
        BAD_MODEL,
        BAD_SETUP,
        BAD_VOICE,
        PRECONDITION,
        INTERNAL,
        OVERLOADED,
        UNRECOGNISED,
        SETUP_TIMED_OUT,
        SILENT,
    }
)
# A resume that ends with one of these was not refused for its handle.
NOT_THE_HANDLE = frozenset({QUOTA, CREDIT, OVERLOADED, NETWORK})

# In this order, in lower case: the first row with a phrase that is in the reason. Money and quota come first: their
# reasons name plans, keys and billing, too; a key's special troubles come before "api key".
BY_PHRASE: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    (CREDIT, ("prepay", "credits are", "credit balance", "out of credit", "insufficient credit")),
    (QUOTA, ("quota", "resource_exhausted", "resource exhausted", "too many requests", "rate limit")),
    (CREDIT, ("billing", "payment")),
    (NO_KEY, ("unregistered caller",)),
    (LEAKED_KEY, ("leaked",)),
    (SUSPENDED, ("suspended",)),
    (RESTRICTED_KEY, ("are blocked", "address restriction", "violates this restriction")),
    (API_DISABLED, ("has not been used in project", "it is disabled", "service_disabled")),
    (BAD_KEY, ("api key", "api_key", "unauthenticated", "invalid authentication credentials")),
    (DENIED, ("permission", "denied access")),
    (BAD_LOCATION, ("location is not supported",)),
    # Before the model's row: such a reason ends with the model's name.
    (BAD_SETUP, ("invalid json payload", "thinking level", "response modalities", "text output")),
    (BAD_VOICE, ("speaker voice",)),
    (BAD_MODEL, ("publisher model", "is not found for api version", "not supported for bidi", "live api")),
    (PRECONDITION, ("precondition check failed", "failed_precondition")),
    (INVALID_ARGUMENT, ("invalid argument", "invalid_argument")),
    (GO_AWAY_IGNORED, ("failed to close the connection",)),
    (ABORTED, ("operation was aborted",)),
    (UNKNOWN_HANDLE, ("bidigeneratecontent session",)),
    (NOT_FOUND, ("entity was not found", "operation is not implemented")),
    (INTERNAL, ("internal error",)),
    (OVERLOADED, ("currently unavailable", "overloaded", "high demand")),
    (CONNECTION_CAP, ("deadline expired",)),
)
_NORMAL_CODES = frozenset({1000, 1001})
_ABNORMAL_CODE = 1006
# A shorter beginning of a key is useless to a thief, and could be a word.
_KEY_CHARACTERS = 8

_BY_STATUS = {401: UNAUTHORISED, 403: UNAUTHORISED, 404: HTTP_REFUSED, 400: HTTP_REFUSED, 429: QUOTA}


def of_close(code: int, reason: str) -> Cause:
    """Return the cause of a close frame; code 1006 stands for a connection that broke without one."""
    lowered = reason.lower()
    for cause, phrases in BY_PHRASE:
        if any(phrase in lowered for phrase in phrases):
            return cause
    if lowered.lstrip("`").startswith("models/"):
        return BAD_MODEL
    if code in _NORMAL_CODES:
        return CLOSED
    return NETWORK if code == _ABNORMAL_CODE else UNRECOGNISED


def without_key(reason: str, key: str) -> str:
    """Return a close frame's reason without the API key, which a proxy may quote, whole or cut off at the end.

    Source of the cut: RFC 6455 §5.5 allows a control frame 125 bytes, two of which are the code.
    """
    reason = reason.replace(key, "(key)")
    for size in range(len(key) - 1, _KEY_CHARACTERS - 1, -1):
        if reason.endswith(key[:size]):
            return f"{reason[:-size]}(key)"
    return reason


def of_http_status(status: int) -> Cause:
    """Return the cause of an HTTP answer in place of the upgrade."""
    return _BY_STATUS.get(status, HTTP_FAILED)
