"""Why Gemini closed or refused a connection, and what may be done about it.

Auth, model, region and quota failures arrive as close frames after a successful upgrade, with a reason cut
at 123 bytes: the reason's text decides, the code comes second.
Source: the close frames observed on Gemini Live up to November 2026, in docs/protocol.md, "Close frames".
"""

from dataclasses import dataclass
import enum


class Remedy(enum.Enum):
    """What may be tried after a failure."""

    NONE = "it would fail again: the interview ends with its cause"
    WAIT = "quota: no retry before a pause, and none by other interviews either"
    FRESH = "a new session, once; the handle is of no use"
    RESUME = "resume with the handle, or a new session where there is none"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause by its name in logs and metrics; ``words`` tell an operator what happened and what to do."""

    name: str
    remedy: Remedy
    words: str


BAD_KEY = Cause("bad_key", Remedy.NONE, "Gemini refused the API key: check GEMINI_API_KEY")
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
INTERNAL = Cause("internal", Remedy.RESUME, "Gemini had an internal error")
OVERLOADED = Cause("overloaded", Remedy.RESUME, "Gemini is overloaded")
CONNECTION_CAP = Cause("connection_cap", Remedy.RESUME, "Gemini's connection reached its age limit")
NETWORK = Cause("network", Remedy.RESUME, "the connection to Gemini broke")
CLOSED = Cause("closed", Remedy.RESUME, "Gemini closed the connection normally")
UNRECOGNISED = Cause("unrecognised", Remedy.RESUME, "Gemini closed the connection for an unknown reason")
# These never come as close frames.
DNS = Cause("dns", Remedy.RESUME, "Gemini's host name cannot be resolved")
REFUSED = Cause("refused", Remedy.RESUME, "nothing accepts connections at Gemini's address")
TLS = Cause("tls", Remedy.NONE, "Gemini's certificate is not acceptable")
TIMED_OUT = Cause("timed_out", Remedy.RESUME, "Gemini did not answer in time")
UNAUTHORISED = Cause("unauthorised", Remedy.NONE, "Gemini refused the API key: check GEMINI_API_KEY")
HTTP_REFUSED = Cause("http_refused", Remedy.NONE, "Gemini's address refuses WebSocket connections")
HTTP_FAILED = Cause("http_failed", Remedy.RESUME, "Gemini's address answered with an HTTP error")
PROTOCOL = Cause("protocol", Remedy.RESUME, "the WebSocket connection to Gemini failed")
SILENT = Cause("silent", Remedy.RESUME, "Gemini sent nothing for too long, and answered no ping")
STALLED = Cause("stalled", Remedy.RESUME, "Gemini took nothing more")

# Gemini never saw such a try.
UNASKED = frozenset({DNS, REFUSED, HTTP_FAILED})
# A resume that ends with one of these was not refused for its handle.
NOT_THE_HANDLE = frozenset({QUOTA, OVERLOADED, NETWORK})

# In this order; matched against the beginning of the reason, letter by letter.
BY_PREFIX = (
    ("API key", BAD_KEY),
    ("Method doesn't allow", NO_KEY),
    ("User location", BAD_LOCATION),
    ("models/", BAD_MODEL),
    ("Publisher Model", BAD_MODEL),
    ("Invalid JSON payload", BAD_SETUP),
    ("Thinking level", BAD_SETUP),
    ("The requested combination", BAD_SETUP),
    ("Text output", BAD_SETUP),
    ("No matching speaker", BAD_VOICE),
    ("Precondition check failed", PRECONDITION),
    ("Request contains an invalid argument", INVALID_ARGUMENT),
    ("Connection aborted because the client failed to close", GO_AWAY_IGNORED),
    ("The operation was aborted", ABORTED),
    ("BidiGenerateContent session", UNKNOWN_HANDLE),
    ("Requested entity was not found", NOT_FOUND),
    ("Operation is not implemented", NOT_FOUND),
    ("Internal error", INTERNAL),
    ("The service is currently unavailable", OVERLOADED),
    ("Deadline expired", CONNECTION_CAP),
)
# Anywhere in the reason, in lower case.
_BY_WORD = (("quota", QUOTA), ("resource_exhausted", QUOTA))
_NORMAL_CODES = frozenset({1000, 1001})
_ABNORMAL_CODE = 1006
# A shorter beginning of a key is of no use to anybody, and could be a word.
_KEY_CHARACTERS = 8

_BY_STATUS = {401: UNAUTHORISED, 403: UNAUTHORISED, 404: HTTP_REFUSED, 400: HTTP_REFUSED, 429: QUOTA}


def of_close(code: int, reason: str) -> Cause:
    """The cause of a close frame; code 1006 stands for a connection that broke without one."""
    lowered = reason.lower()
    for word, cause in _BY_WORD:
        if word in lowered:
            return cause
    for prefix, cause in BY_PREFIX:
        if reason.lstrip("`").startswith(prefix):
            return cause
    if code in _NORMAL_CODES:
        return CLOSED
    return NETWORK if code == _ABNORMAL_CODE else UNRECOGNISED


def without_key(reason: str, key: str) -> str:
    """A close frame's reason without the API key, which a proxy may quote; nor its beginning, where the reason was cut.

    Source of the cut: RFC 6455 §5.5 allows a control frame 125 bytes, two of which are the code.
    """
    reason = reason.replace(key, "(key)")
    for size in range(len(key) - 1, _KEY_CHARACTERS - 1, -1):
        if reason.endswith(key[:size]):
            return f"{reason[:-size]}(key)"
    return reason


def of_http_status(status: int) -> Cause:
    """The cause of an HTTP answer in place of the upgrade."""
    return _BY_STATUS.get(status, HTTP_FAILED)
