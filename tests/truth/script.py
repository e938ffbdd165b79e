"""What the candidate says: answers in three languages, each with the words that Gemini is to write down."""

from dataclasses import dataclass

from tests.candidates import RATE_HZ
from tests.truth.espeak import Speech, synthesizer

VOICES = {"en": "en-us", "de": "de", "zh": "cmn-latn-pinyin"}


@dataclass(frozen=True)
class Sentence:
    """``text``: as Gemini writes it down; ``spoken``: as espeak-ng reads it, which of Mandarin knows Pinyin only."""

    text: str
    spoken: str = ""


# Each answer's utterances: Gemini, which takes a long pause for an end, writes each down by itself.
ANSWERS: dict[str, tuple[tuple[Sentence, ...], ...]] = {
    "en": (
        (
            Sentence(
                "I joined the team when the scheduler was three years old, and nobody wanted to touch it."
            ),
        ),
        (Sentence("Yes, that is right."),),
        (
            Sentence("First I looked at the logs of the payment service."),
            Sentence("Then we saw that some requests came twice, and it took a week to find out why."),
        ),
    ),
    "de": (
        (Sentence("Ich habe drei Jahre lang in einem kleinen Team gearbeitet, das die Zahlungen betreut."),),
        (Sentence("Ja, genau so war das."),),
        (
            Sentence("Zuerst haben wir die Protokolle gelesen."),
            Sentence("Dann fiel uns auf, dass manche Anfragen doppelt kamen, und zwar immer nachts."),
        ),
    ),
    "zh": (
        (
            Sentence(
                "我在这个项目上工作了三年负责支付服务的调度。",
                "wo3 zai4 zhe4 ge5 xiang4 mu4 shang4 gong1 zuo4 le5 san1 nian2, "
                "fu4 ze2 zhi1 fu4 fu2 wu4 de5 diao4 du4.",
            ),
        ),
        (Sentence("对是这样的。", "dui4, shi4 zhe4 yang4 de5."),),
        (
            Sentence("首先我看了日志。", "shou3 xian1 wo3 kan4 le5 ri4 zhi4."),
            Sentence(
                "后来我们发现有些请求来了两次花了一个星期才找到原因。",
                "hou4 lai2 wo3 men5 fa1 xian4 you3 xie1 qing3 qiu2 lai2 le5 liang3 ci4, "
                "hua1 le5 yi1 ge4 xing1 qi1 cai2 zhao3 dao4 yuan2 yin1.",
            ),
        ),
    ),
}
# Between two utterances of an answer: Gemini waits 1.48 s for more, and 0.8 s later has not begun to reply.
PAUSE_SECONDS = 1.65


@dataclass(frozen=True)
class Answer:
    """``speech``: all of it, with its pauses. ``texts``: its utterances as Gemini writes them down; ``first``: how long the
    first one is, in seconds.
    """

    language: str
    speech: Speech
    texts: tuple[str, ...]
    first: float


def answer(language: str, number: int) -> Answer:
    """Return the language's answer of this number; they begin again when there are no more."""
    sentences = ANSWERS[language][number % len(ANSWERS[language])]
    pcm, words, first = b"", [], 0.0
    for sentence in sentences:
        if pcm:
            pcm += bytes(2 * round(PAUSE_SECONDS * RATE_HZ))
        at = len(pcm) / 2 / RATE_HZ
        said = synthesizer().say(VOICES[language], sentence.spoken or sentence.text)
        words += [(at + begin, at + end) for begin, end in said.words]
        pcm += said.pcm
        first = first or said.end
    return Answer(language, Speech(pcm, tuple(words)), tuple(it.text for it in sentences), first)
