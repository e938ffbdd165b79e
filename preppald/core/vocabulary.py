"""Names and terms that Gemini is to expect in the candidate's answers, so that it writes them down rightly.

Source of the size: Google's page on transcription takes up to a thousand words, and says that fewer than a hundred
work best.
"""

from collections.abc import Iterable, Iterator, Sequence
import re

MAX_TERMS = 100
MAX_TERM_CHARS = 60
# A document is read so far: the first pages of a resume name what the rest repeats.
MAX_DOCUMENT_CHARS = 20_000
# Where more of the words within a sentence begin with a capital, capitals do not mark names: German, or a headline.
NAME_SHARE = 0.25
_WORD = re.compile(r"[^\W\d_][\w+#./'&-]*[\w+#]|[^\W\d_]|\d+[^\W\d_]\w*")
_SENTENCE_ENDS = re.compile(r"(?:[.!?:;•|\t]|\n)\W*$")


def vocabulary(own: Sequence[str], documents: Iterable[str]) -> tuple[str, ...]:
    """Return the operator's ``own`` terms, and then those of the documents: a hundred at most, each once.

    From a document come the words that are written like names and terms: with a capital or a digit inside (PostgreSQL,
    AWS, K8s, C++), and those with a capital in the middle of a sentence.
    """
    found: dict[str, str] = {}
    for term in (*own, *(term for document in documents for term in _terms(document[:MAX_DOCUMENT_CHARS]))):
        if len(term) <= MAX_TERM_CHARS:
            found.setdefault(term.casefold(), term)
        if len(found) == MAX_TERMS:
            break
    return tuple(found.values())


def _terms(document: str) -> Iterator[str]:
    words = [(match[0], _within_sentence(document, match.start())) for match in _WORD.finditer(document)]
    within = [word for word, inside in words if inside and len(word) > 1]
    names = [word for word in within if word[0].isupper()]
    capitals_mark_names = len(names) <= NAME_SHARE * len(within)
    for word, inside in words:
        if _is_term(word) or (inside and capitals_mark_names and len(word) > 1 and word[0].isupper()):
            yield word


def _is_term(word: str) -> bool:
    inner = word[1:]
    return len(word) > 1 and (
        any(character.isupper() for character in inner)
        or any(character in "+#" for character in inner)
        or (any(character.isdigit() for character in word) and any(character.isalpha() for character in word))
    )


def _within_sentence(document: str, start: int) -> bool:
    before = document[max(0, start - 8) : start]
    return bool(before.strip()) and _SENTENCE_ENDS.search(before) is None
