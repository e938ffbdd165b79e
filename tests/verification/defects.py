"""Turns with known defects: two texts of one answer, as a live transcription and a second, better one would write them.

Each text is the answer with noise: half of ``NOISE`` in each, words substituted, dropped or added at random. Into the
live text one defect is put: at least ``LEAST_WORDS`` words, or a quarter of the turn where that is less than four times
as long. Words are of real sentences; in Mandarin each character is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import random

from preppald.core.verification import Flag

# Of all words: substituted, dropped or added in one of the two texts.
NOISE = 0.12
LEAST_WORDS = 5
LEAST_SHARE = 0.25
# Words of a turn.
SHORTEST, LONGEST = 12, 160
# A quarter of a shorter one is one or two words, three at most, and noise takes or adds as many by itself: see
# ``test_a_quarter_of_a_short_turn_is_lost_to_noise_alone``. So there a defect has five words, and leaves two.
LEFT = 2
# A defect in the middle is as far as this from both ends: nearer, it is one of the beginning or the end.
INSIDE = 4
# Voice by our own ear, in a turn of which the live transcription has not a word.
UNHEARD_SECONDS = 2.0
WORDS_A_SECOND = 2.4

SENTENCES = {
    "en": (
        "I joined the team when the scheduler was already three years old and nobody wanted to touch it",
        "we found that two threads could take the same job when the lock was released too early",
        "so I wrote a small test which failed about once in a thousand runs and then always",
        "my manager asked me to explain to the customers why the numbers of last month were wrong",
        "first I looked at the logs of the payment service and saw that some requests came twice",
        "the hardest part was not the code but convincing everybody that we had to stop for a week",
        "after that we measured the delay again and it went from four seconds to less than one",
        "I would do it differently today because I know how much time the migration really takes",
        "she had a different opinion about the design and we talked about it over lunch",
        "in the end we shipped it in march and the number of complaints fell by half",
        "one thing that I learned is to ask for the requirements before I begin to build anything",
        "there was a conflict between the sales people who promised too much and us",
    ),
    "de": (
        "ich bin in das Team gekommen als der Planer schon drei Jahre alt war und niemand ihn anfassen wollte",
        "wir haben gefunden dass zwei Fäden dieselbe Aufgabe nehmen konnten wenn die Sperre zu früh fiel",
        "also schrieb ich eine kleine Prüfung die einmal in tausend Läufen scheiterte und dann immer",
        "meine Chefin bat mich den Kunden zu erklären warum die Zahlen des letzten Monats falsch waren",
        "zuerst sah ich in die Protokolle des Zahldienstes und merkte dass manche Anfragen doppelt kamen",
        "das Schwerste war nicht der Code sondern alle davon zu überzeugen eine Woche lang aufzuhören",
        "danach haben wir die Verzögerung noch einmal gemessen und sie fiel von vier Sekunden auf unter eine",
        "heute würde ich es anders machen denn ich weiß jetzt wie lange so ein Umzug wirklich dauert",
        "sie hatte eine andere Meinung über den Entwurf und wir redeten beim Mittagessen darüber",
        "am Ende haben wir es im März ausgeliefert und die Beschwerden gingen um die Hälfte zurück",
    ),
    "es": (
        "entré en el equipo cuando el planificador ya tenía tres años y nadie quería tocarlo",
        "descubrimos que dos hilos podían tomar la misma tarea cuando el cerrojo se soltaba antes",
        "entonces escribí una prueba pequeña que fallaba una vez de cada mil y después siempre",
        "mi jefa me pidió que explicara a los clientes por qué las cifras del mes eran falsas",
        "lo más difícil no fue el código sino convencer a todos de parar durante una semana",
        "al final lo entregamos en marzo y el número de quejas bajó a la mitad",
    ),
    "zh": (
        "我加入团队的时候那个调度程序已经用了三年没有人愿意去碰它",
        "我们发现如果锁释放得太早两个线程就会拿到同一个任务",
        "所以我写了一个很小的测试一千次里面大概会失败一次",
        "我的经理让我向客户解释为什么上个月的数字是错的",
        "最难的部分不是代码而是说服大家停下来一个星期",
        "后来我们又测量了延迟从四秒降到了不到一秒",
        "今天我会用不同的方法因为我知道迁移真正需要多少时间",
        "最后我们在三月份上线投诉的数量减少了一半",
        "她对设计有不同的看法我们一边吃午饭一边讨论",
        "我学到的一点是在开始做之前先问清楚需求",
    ),
    "ko": (
        "제가 팀에 들어갔을 때 그 스케줄러는 이미 삼 년이 되었고 아무도 건드리려 하지 않았습니다",
        "잠금이 너무 일찍 풀리면 두 스레드가 같은 작업을 가져간다는 것을 알게 되었습니다",
        "그래서 천 번에 한 번 정도 실패하는 작은 테스트를 작성했습니다",
        "가장 어려운 것은 코드가 아니라 일주일 동안 멈추자고 모두를 설득하는 일이었습니다",
    ),
}
# The language of an answer, and the one that the live transcription takes it for.
LANGUAGES = ("en", "de", "zh")
OTHERS = {"en": ("de", "es", "ko", "zh"), "de": ("en", "es", "ko"), "zh": ("ko", "en")}


@dataclass(frozen=True, slots=True)
class Case:
    """Two texts of an answer of so many ``seconds`` of voice, and the flag that is right."""

    live: str
    second: str
    seconds: float
    flag: Flag
    language: str


def words_of(language: str, count: int, chance: random.Random) -> list[str]:
    """Return so many words of an answer."""
    words: list[str] = []
    while len(words) < count:
        # Nobody says a sentence twice before all others.
        for sentence in chance.sample(SENTENCES[language], len(SENTENCES[language])):
            words += list(sentence) if language == "zh" else sentence.split()
    return words[:count]


def noisy(words: Sequence[str], language: str, chance: random.Random) -> list[str]:
    """Return the words with half of the noise: a third each substituted, dropped, and added to."""
    found: list[str] = []
    for word in words:
        if chance.random() >= NOISE / 2:
            found.append(word)
            continue
        match chance.randrange(3):
            case 0:
                found.append(other_word(word, language, chance))
            case 1:
                pass
            case _:
                found += [word, other_word(word, language, chance)]
    return found


def other_word(word: str, language: str, chance: random.Random) -> str:
    while (other := words_of(language, 60, chance)[chance.randrange(60)]) == word:
        pass
    return other


def text(words: Sequence[str], language: str) -> str:
    return ("" if language == "zh" else " ").join(words)


def size(count: int, chance: random.Random) -> int:
    """Return how many words a defect has: at least five, or a quarter of a shorter turn; at most 60 %."""
    least = min(LEAST_WORDS, -(-count // round(1 / LEAST_SHARE)))
    return chance.randint(least, max(least, count * 6 // 10))


Maker = Callable[[list[str], str, random.Random], list[str]]


def without_start(words: list[str], _language: str, chance: random.Random) -> list[str]:
    return words[size(len(words), chance) :]


def without_end(words: list[str], _language: str, chance: random.Random) -> list[str]:
    return words[: -size(len(words), chance)]


def without_middle(words: list[str], _language: str, chance: random.Random) -> list[str]:
    length = min(size(len(words), chance), len(words) - 2 * INSIDE)
    at = chance.randint(INSIDE, len(words) - INSIDE - length)
    return words[:at] + words[at + length :]


def with_more(words: list[str], language: str, chance: random.Random) -> list[str]:
    at = chance.randint(0, len(words))
    return words[:at] + words_of(language, size(len(words), chance), chance) + words[at:]


def in_another(words: list[str], language: str, chance: random.Random) -> list[str]:
    return [text(words_of(other := chance.choice(OTHERS[language]), len(words), chance), other)]


MAKERS: dict[Flag, Maker] = {
    Flag.OK: lambda words, _language, _chance: words,
    Flag.START_MISSING: without_start,
    Flag.END_MISSING: without_end,
    Flag.WORDS_MISSING: without_middle,
    Flag.INVENTED: with_more,
    Flag.OTHER_LANGUAGE: in_another,
    Flag.UNHEARD: lambda _words, _language, _chance: [],
}


def case(flag: Flag, chance: random.Random) -> Case:
    """Return a turn with this defect."""
    language = chance.choice(LANGUAGES)
    count = chance.randint(SHORTEST, LONGEST)
    if flag is Flag.UNHEARD:
        count = round(UNHEARD_SECONDS * WORDS_A_SECOND)
    said = words_of(language, count, chance)
    # The defect is put into what was said, so that it has its full size whatever the noise does to the rest.
    live = MAKERS[flag](said, language, chance)
    if flag not in {Flag.OTHER_LANGUAGE, Flag.UNHEARD}:
        live = noisy(live, language, chance)
    second = noisy(said, language, chance)
    seconds = max(UNHEARD_SECONDS, count / WORDS_A_SECOND)
    return Case(text(live, language), text(second, language), seconds, flag, language)


def short_case(flag: Flag, chance: random.Random) -> Case:
    """Return a turn of fewer than ``SHORTEST`` words with this defect, as short a turn as may have it."""
    language = chance.choice(LANGUAGES)
    least = {
        Flag.START_MISSING: LEAST_WORDS + LEFT,
        Flag.END_MISSING: LEAST_WORDS + LEFT,
        Flag.OTHER_LANGUAGE: 2,
        Flag.UNHEARD: round(UNHEARD_SECONDS * WORDS_A_SECOND),
    }
    count = chance.randint(least.get(flag, 1), SHORTEST - 1)
    said = words_of(language, count, chance)
    match flag:
        case Flag.START_MISSING:
            live = said[chance.randint(LEAST_WORDS, count - LEFT) :]
        case Flag.END_MISSING:
            live = said[: -chance.randint(LEAST_WORDS, count - LEFT)]
        case Flag.INVENTED:
            at = chance.randint(0, count)
            more = words_of(language, chance.randint(LEAST_WORDS, SHORTEST), chance)
            live = said[:at] + more + said[at:]
        case _:
            live = MAKERS[flag](said, language, chance)
    if flag is not Flag.OTHER_LANGUAGE:
        live = noisy(live, language, chance)
    second = noisy(said, language, chance)
    return Case(text(live, language), text(second, language), count / WORDS_A_SECOND, flag, language)


def lost(turn: int, words: int, chance: random.Random) -> Case:
    """Return a turn of so many words that lacks so many at its start; without any it is a clean one."""
    language = chance.choice(LANGUAGES)
    said = words_of(language, turn, chance)
    live, second = noisy(said[words:], language, chance), noisy(said, language, chance)
    flag = Flag.START_MISSING if words else Flag.OK
    return Case(text(live, language), text(second, language), turn / WORDS_A_SECOND, flag, language)


def cases(seed: int, count: int) -> list[Case]:
    """Return ``count`` turns with a defect, the kinds in turn, and as many without."""
    return _cases(seed, count, case, [flag for flag in MAKERS if flag is not Flag.OK])


def short_cases(seed: int, count: int) -> list[Case]:
    """Return as ``cases`` does, of short turns: of those none is long enough for words missing in the middle."""
    kinds = [flag for flag in MAKERS if flag not in {Flag.OK, Flag.WORDS_MISSING}]
    return _cases(seed, count, short_case, kinds)


def _cases(
    seed: int, count: int, make: Callable[[Flag, random.Random], Case], kinds: Sequence[Flag]
) -> list[Case]:
    chance = random.Random(seed)
    return [
        *(make(kinds[number % len(kinds)], chance) for number in range(count)),
        *(make(Flag.OK, chance) for _ in range(count)),
    ]
