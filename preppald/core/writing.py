"""Guesses the language of a text: by its script, and where many languages share that, by their commonest words.

A guess for telling two languages apart, not for naming one: None where a text is too short or too mixed.
"""

from collections import Counter
import unicodedata

# Scripts by the beginning of their characters' names in Unicode, and the language that most often is meant by them.
SCRIPTS = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "GREEK": "el",
    "DEVANAGARI": "hi",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "LATIN": "",
}
# The languages that a script may stand for, beside the one above.
SHARED = {
    "ru": {"uk", "be", "bg", "sr", "mk", "kk", "ky", "mn", "tg"},
    "ar": {"fa", "ur", "ps", "sd"},
    "hi": {"mr", "ne"},
    "bn": {"as"},
    "zh": {"yue", "ja"},
    "he": {"yi"},
}
# Words that every text of the language is full of, and few others have.
COMMON = {
    "en": "the and of to that is was it with for you they this have from we my not but were had be are",
    "de": "der die und das ist nicht ich wir ein eine mit auf für dass zu den von es war haben wie auch sich",
    "es": "el la de que y en los se las por con una para no un del más pero como fue muy cuando era lo",
    "fr": "le la les des et est une que dans pour qui pas sur je nous vous ce avec plus mais était ne au",
    "it": "il di che è la un per non una sono con ma come ho della mi si anche nel più abbiamo era gli",
    "pt": "o de que e do da em um para não uma os com no se na por mais foi como mas eu ao das muito",
    "nl": "de het een en van ik dat is niet te op aan met voor zijn die was maar we er ook hebben om",
    "pl": "i w nie się na to że z do jest jak ale mnie był co tak po od za przez już byłem dla",
    "sv": "och att det som en på är av för med den till inte jag har de vi ett om var men så",
    "da": "og at det er en til på som af for med den de ikke jeg der har vi var et men så",
    "tr": "bir ve bu için de da çok ile ben ne gibi daha ama sonra var olarak o kadar değil mi",
    "id": "yang dan di itu dengan untuk tidak ini dari saya dalam akan pada juga ke ada kami kita bisa",
    "vi": "và là của tôi không có được trong một cho người với những này đã các chúng khi làm như",
}
_COMMON = {language: frozenset(words.split()) for language, words in COMMON.items()}
# More than half of the letters tell the script; a tenth of the words, and two at least, the language.
COMMON_SHARE = 0.1
COMMON_WORDS = 2
# One language has so many times the common words of the next, or nobody can tell.
CLEAR_RATIO = 1.5


def guessed(text: str) -> str | None:
    """Return the code of the text's language, as in BCP-47, None where it cannot be told."""
    scripts = Counter(_script(it) for it in text if it.isalpha())
    letters = scripts.total()
    # Japanese is written with Chinese characters, too.
    if letters and (scripts["HIRAGANA"] + scripts["KATAKANA"]) * 10 > letters:
        return "ja"
    script, count = next(iter(scripts.most_common(1)), ("", 0))
    if count * 2 <= letters:
        return None
    return SCRIPTS.get(script) or (_latin(text) if script == "LATIN" else None)


def may_be(text: str, codes: tuple[str, ...]) -> bool:
    """Return whether the text may be in one of these languages: it is, or it cannot be told. ``codes``: as in BCP-47."""
    found = guessed(text)
    wanted = {code.split("-")[0].lower() for code in codes}
    if found is None or not wanted or found in wanted or SHARED.get(found, set()) & wanted:
        return True
    # A language of Latin script that is not in the table looks like another one that is.
    return found in COMMON and any(code not in COMMON and code not in SCRIPTS.values() for code in wanted)


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0].split("-")[0]


def _latin(text: str) -> str | None:
    words = text.casefold().split()
    counts = Counter({language: sum(it in own for it in words) for language, own in _COMMON.items()})
    (first, count), (_, next_count) = counts.most_common(2)
    enough = count >= max(COMMON_WORDS, len(words) * COMMON_SHARE)
    return first if enough and count >= next_count * CLEAR_RATIO else None
