"""Why Gemini closed: every row of the observed table, matched by what it says, as cut as it comes."""

from collections.abc import Callable

import pytest

from preppald.core import closes
from preppald.core.closes import Cause, Remedy, of_close, of_http_status, without_key
from preppald.simulator.endings import CLOSE_FRAMES

MODEL = (
    "models/gemini-9-live is not found for API version v1beta, or is not supported for bidiGenerateContent."
)
MODALITIES = "The requested combination of response modalities (TEXT) is not supported by the model. models/x"
CALLERS = (
    "Method doesn't allow unregistered callers (callers without established identity). "
    "Please use API Key or other form of API c"
)
GO_AWAY = (
    "Connection aborted because the client failed to close the connection after receiving a GoAway "
    "signal once the session durat"
)
QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information "
    "on this error, head to: h"
)


@pytest.mark.parametrize(
    ("code", "reason", "cause"),
    [
        (1007, "API key not valid. Please pass a valid API key.", closes.BAD_KEY),
        (1008, CALLERS, closes.NO_KEY),
        (1007, "API Key not found. Please pass a valid API key.", closes.BAD_KEY),
        (1007, "API key expired. Please renew the API key.", closes.BAD_KEY),
        (1008, "Your API key was reported as leaked. Please use another API key.", closes.LEAKED_KEY),
        (1008, "Permission denied: Consumer 'api_key:x' has been suspended.", closes.SUSPENDED),
        (1008, "Requests from referer https://example.com are blocked.", closes.RESTRICTED_KEY),
        (1008, "Requests to this API method are blocked.", closes.RESTRICTED_KEY),
        (1008, "The provided API key has an IP address restriction.", closes.RESTRICTED_KEY),
        (
            1008,
            "Gemini API has not been used in project 12 before or it is disabled. Enable it by",
            closes.API_DISABLED,
        ),
        (1008, "The caller does not have permission", closes.DENIED),
        (1008, "Your project has been denied access. Please contact support.", closes.DENIED),
        (1011, "Your prepayment credits are depleted. Please go to AI Studio", closes.CREDIT),
        (1011, "RESOURCE_EXHAUSTED: your prepayment credits are depleted", closes.CREDIT),
        (1008, "This API method requires billing to be enabled.", closes.CREDIT),
        (1007, "User location is not supported for the API use.", closes.BAD_LOCATION),
        (1008, MODEL, closes.BAD_MODEL),
        (1008, "Publisher Model `projects/p/locations/l/x` was not found.", closes.BAD_MODEL),
        (1008, "`Publisher Model `projects/p/locations/l/x` was not found.", closes.BAD_MODEL),
        (
            1007,
            "Invalid JSON payload received. Unknown name \"x\" at 'setup': Cannot find field.",
            closes.BAD_SETUP,
        ),
        (1007, "Request contains an invalid argument.", closes.INVALID_ARGUMENT),
        (1007, "Precondition check failed.", closes.PRECONDITION),
        (1007, "Thinking level is not supported for this model.", closes.BAD_SETUP),
        (1007, "Thinking level must be specified for this model.", closes.BAD_SETUP),
        (1007, "Thinking level MINIMAL is not supported for this model.", closes.BAD_SETUP),
        (1007, MODALITIES, closes.BAD_SETUP),
        (1007, "Text output is not supported for native audio output model.", closes.BAD_SETUP),
        (1007, "No matching speaker voice found for name: alloy", closes.BAD_VOICE),
        (1008, GO_AWAY, closes.GO_AWAY_IGNORED),
        (1008, "The operation was aborted.", closes.ABORTED),
        (1008, "BidiGenerateContent session not found", closes.UNKNOWN_HANDLE),
        (1008, "BidiGenerateContent session history not found", closes.UNKNOWN_HANDLE),
        (1008, "Requested entity was not found.", closes.NOT_FOUND),
        (1008, "Operation is not implemented, or supported, or enabled.", closes.NOT_FOUND),
        (1008, "Quota exceeded for quota metric 'Bidi requests' and limit 'per minute'.", closes.QUOTA),
        (1011, QUOTA, closes.QUOTA),
        (1011, "RESOURCE_EXHAUSTED", closes.QUOTA),
        (1011, "Internal error encountered.", closes.INTERNAL),
        (1011, "Internal error occurred.", closes.INTERNAL),
        (1011, "The service is currently unavailable.", closes.OVERLOADED),
        (1011, "Deadline expired before operation could complete.", closes.CONNECTION_CAP),
        (1006, "", closes.NETWORK),
        (1000, "", closes.CLOSED),
        (1001, "", closes.CLOSED),
        (1011, "", closes.UNRECOGNISED),
        (4999, "Something new.", closes.UNRECOGNISED),
    ],
)
def test_a_close_frame_is_known_by_its_words(code: int, reason: str, cause: Cause) -> None:
    """The same code stands for a bad key and for a passing fault; the reason is what tells them apart."""
    assert of_close(code, reason) is cause


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, lambda reason: f"Error: {reason}"])
@pytest.mark.parametrize("row", CLOSE_FRAMES)
def test_a_reason_in_another_dress_means_the_same(change: Callable[[str], str], row: str) -> None:
    """Google has changed capitals and put words before its reasons; a model's name alone must come first."""
    frame = CLOSE_FRAMES[row]
    reason = frame.reason.format(model="models/x", version="v1beta")
    assert of_close(frame.code, change(reason)) is of_close(frame.code, reason)


PERMANENT = {
    closes.BAD_KEY,
    closes.LEAKED_KEY,
    closes.RESTRICTED_KEY,
    closes.SUSPENDED,
    closes.API_DISABLED,
    closes.DENIED,
    closes.NO_KEY,
    closes.BAD_LOCATION,
    closes.BAD_MODEL,
    closes.BAD_SETUP,
    closes.BAD_VOICE,
    closes.PRECONDITION,
    closes.TLS,
    closes.UNAUTHORISED,
    closes.HTTP_REFUSED,
    closes.PROXY_REFUSED,
}
FRESH = {closes.INVALID_ARGUMENT, closes.UNKNOWN_HANDLE, closes.NOT_FOUND}
CAUSES = [value for value in vars(closes).values() if isinstance(value, Cause)]


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_each_cause_has_its_remedy(cause: Cause) -> None:
    """What would fail again is not tried again, a quota is left alone, the rest is transient."""
    if cause in PERMANENT:
        assert cause.remedy is Remedy.NONE
    elif cause in FRESH:
        assert cause.remedy is Remedy.FRESH
    else:
        assert cause.remedy is (Remedy.WAIT if cause in {closes.QUOTA, closes.CREDIT} else Remedy.RESUME)


def test_causes_are_told_apart_by_name() -> None:
    """The names are labels of a metric: two causes under one would hide each other."""
    names = [cause.name for cause in CAUSES]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in names)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, closes.HTTP_REFUSED),
        (401, closes.UNAUTHORISED),
        (403, closes.UNAUTHORISED),
        (404, closes.HTTP_REFUSED),
        (429, closes.QUOTA),
        (500, closes.HTTP_FAILED),
        (503, closes.HTTP_FAILED),
        (302, closes.HTTP_FAILED),
    ],
)
def test_an_http_answer_is_known_by_its_status(status: int, cause: Cause) -> None:
    """Rare, but seen: an error in place of the upgrade."""
    assert of_http_status(status) is cause


KEY = "AIzaSy-not-a-key-0123456789"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (f"Bad request: key={KEY}&alt=ws", "Bad request: key=(key)&alt=ws"),
        (f"{KEY} and {KEY}", "(key) and (key)"),
        (f"Bad request: {KEY[:-1]}", "Bad request: (key)"),
        (f"Bad request: {KEY[:8]}", "Bad request: (key)"),
        (f"Bad request: {KEY[:7]}", f"Bad request: {KEY[:7]}"),
        ("API key not valid.", "API key not valid."),
        ("", ""),
    ],
)
def test_a_reason_is_shown_without_the_key(reason: str, shown: str) -> None:
    """Nor with most of one, where the reason was cut in the middle of it."""
    assert without_key(reason, KEY) == shown
