"""What Gemini is told to hear better: language codes, vocabulary, and the version of its API."""

from dataclasses import replace
from datetime import date
import json

from hypothesis import given, strategies as st
import pytest

from preppald.config.gemini_setup import gemini_setup
from preppald.config.load import load
from preppald.config.warnings import warnings
from preppald.core import gemini, languages
from preppald.core.closes import of_close
from preppald.core.context import Context
from preppald.core.vocabulary import MAX_TERM_CHARS, MAX_TERMS, vocabulary
from preppald.gemini.dial import UpstreamError
from preppald.gemini.hints import Hints
from tests.world import SETTINGS

RESUME = """\
Curriculum vitae
I worked at Acme in Oslo, where I moved our service to PostgreSQL and K8s. Later I wrote C++ with Maria Sanchez for
a plant of Siemens. The tools were simple, the people kind, and we shipped to AWS each week without any trouble at all.
"""


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("German", "de"),
        ("german", "de"),
        ("de", "de"),
        ("DE", "de"),
        ("pt-br", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("Mandarin", "zh"),
        ("", ""),
        ("xx", ""),
        ("Bavarian", ""),
        ("German, please", ""),
        ("any", ""),
    ],
)
def test_a_language_is_a_code_or_an_english_name(written: str, code: str) -> None:
    """Anything else is no code: a wrong one would make Gemini hear another language."""
    assert languages.code(written) == code


def test_all_names_are_codes_of_their_own() -> None:
    for name, code in languages.CODES.items():
        assert languages.code(code) == code
        assert name == name.casefold()


def test_names_and_terms_are_taken_from_documents() -> None:
    found = vocabulary(["Kubernetes"], [RESUME])
    assert found[0] == "Kubernetes"
    assert {"Acme", "Oslo", "PostgreSQL", "K8s", "C++", "Maria", "Sanchez", "Siemens", "AWS"} <= set(found)
    assert not {"Later", "The", "Curriculum", "I", "people"} & set(found)


def test_where_nouns_have_capitals_they_are_no_names() -> None:
    """German: what is written in mixed case still is."""
    text = "Ich habe die Brücke mit dem Kran im Winter gebaut und die Daten mit PostgreSQL in die Tabelle gelegt."
    assert vocabulary([], [text]) == ("PostgreSQL",)


@given(st.lists(st.text(max_size=80), max_size=5), st.lists(st.text(max_size=500), max_size=3))
def test_a_vocabulary_is_bounded_whatever_the_documents_are(own: list[str], documents: list[str]) -> None:
    found = vocabulary(own, documents)
    assert len(found) <= MAX_TERMS
    assert all(len(term) <= MAX_TERM_CHARS for term in found)
    assert len({term.casefold() for term in found}) == len(found)


def test_a_long_document_fills_no_more_than_a_hundred_places() -> None:
    many = " ".join(f"it was Name{number}" for number in range(1000))
    assert len(vocabulary(["Own"], [many])) == MAX_TERMS


def transcription(setup: gemini.Setup) -> object:
    return json.loads(gemini.setup(setup))["setup"]["inputAudioTranscription"]


def test_hints_go_to_models_that_take_them() -> None:
    config = load({**SETTINGS, "PREPPALD_LANGUAGE": "German", "PREPPALD_VOCABULARY": "Acme, C++ ,,"})
    assert config.vocabulary == ("Acme", "C++")
    context = Context(job_description="We use Redis a lot and love all of our good people.", language="")
    assert transcription(gemini_setup(config, "Ask.", context)) == {
        "languageCodes": ["de"],
        "customVocabulary": ["Acme", "C++", "Redis"],
    }
    # The application's own word for this interview goes before the setting.
    assert gemini_setup(config, "Ask.", replace(context, language="zh")).language_codes == ("zh",)
    codes_only = gemini_setup(config, "Ask.", name="gemini-3.1-flash-live-preview")
    assert transcription(codes_only) == {"languageCodes": ["de"]}
    neither = gemini_setup(config, "Ask.", name="gemini-2.5-flash-native-audio-latest")
    assert transcription(neither) == {}


def test_check_says_what_gemini_is_not_told() -> None:
    today = date(2026, 11, 28)
    config = load({**SETTINGS, "PREPPALD_LANGUAGE": "Bavarian", "PREPPALD_VOCABULARY": "Acme"})
    (language,) = warnings(config, today)
    assert language.startswith("PREPPALD_LANGUAGE: 'Bavarian' is neither ")
    old = replace(config, language="", gemini_models=("gemini-2.5-flash-native-audio-latest",))
    (terms,) = warnings(old, today)
    assert terms.startswith("PREPPALD_VOCABULARY: ")


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("", "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"),
        ("/v1", "/ws/google.ai.generativelanguage.v1.GenerativeService.BidiGenerateContent"),
        (
            "/proxy/v1alpha",
            "/proxy/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
        ),
        ("/v2go", "/v2go/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"),
    ],
)
def test_the_url_may_name_the_version_of_the_api(prefix: str, path: str) -> None:
    assert gemini.path(prefix) == path


SETUP = gemini_setup(load({**SETTINGS, "PREPPALD_LANGUAGE": "German", "PREPPALD_VOCABULARY": "Acme"}), "Ask.")
NAMED = (
    "Invalid JSON payload received. Unknown name \"custom_vocabulary\" at 'setup.input_audio_transcription'"
)
GENERIC = "Request contains an invalid argument."


def refusal(reason: str, code: int = 1007) -> UpstreamError:
    return UpstreamError(of_close(code, reason), code=code, detail=reason)


def test_a_field_that_a_refusal_names_is_not_sent_again() -> None:
    hints = Hints()
    assert hints.blame(refusal(NAMED), SETUP) == {"customVocabulary"}
    fitted = hints.fit(SETUP)
    assert (fitted.language_codes, fitted.vocabulary) == (("de",), ())
    assert hints.blame(refusal(NAMED.replace("custom_vocabulary", "languageCodes")), fitted) == {
        "languageCodes"
    }
    assert transcription(hints.fit(SETUP)) == {}


def test_a_refusal_that_names_nothing_is_over_all_of_them_until_one_was_accepted() -> None:
    hints = Hints()
    assert hints.blame(refusal(GENERIC), SETUP) == {"customVocabulary", "languageCodes"}
    hints.accept(hints.fit(SETUP))
    assert transcription(hints.fit(SETUP)) == {}
    known = Hints()
    known.accept(SETUP)
    assert known.blame(refusal(GENERIC), SETUP) == set()


def test_fields_are_cleared_of_a_suspicion_by_a_setup_that_fails_without_them() -> None:
    hints = Hints()
    hints.blame(refusal(GENERIC), SETUP)
    assert hints.blame(refusal(GENERIC), hints.fit(SETUP)) == set()
    assert hints.fit(SETUP) == SETUP


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("API key not valid.", 1007),
        ("Internal error encountered.", 1011),
        ("Thinking level must be specified", 1007),
    ],
)
def test_other_refusals_are_not_over_hints(reason: str, code: int) -> None:
    hints = Hints()
    assert hints.blame(refusal(reason, code), SETUP) == set()
    assert hints.fit(SETUP) == SETUP
