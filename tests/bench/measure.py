"""The measurements, each of one device under test, from its start to its end."""

from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from tests.bench import device
from tests.bench.device import Bridge, Device
from tests.bench.load import Load
from tests.bench.patterns import Pattern
from tests.bench.ways import WAYS, Way, encryption

L = TypeVar("L", bound=Load)
# The promise: what the bridge adds to an interview's every byte, 99 times of 100.
LIMIT_MS = 50.0
# A harness that is later than this at one turn of a hundred measures itself.
LAG_MS = 15.0
# Sessions that begin in a second, so that the device is not asked for a set-up it never meets.
CONNECTS_PER_SECOND = 50
SET_UP_SECONDS = 10.0
WARM_UP_SECONDS = 2.0
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Setting:
    """``tree``: the sources that are tested. ``cores``: one for each instance of the device.

    ``seconds``: how long one measurement takes. ``share``: of its core, what an instance may use at most.
    ``nice``: its priority, where that is not to be everybody's. ``log``: where its log lines go.
    ``way``: which of its connections are encrypted.
    """

    python: str
    tree: Path
    cores: tuple[int, ...]
    seconds: float
    share: float | None = None
    log: Path | None = None
    nice: int = 0
    way: Way = WAYS["wss"]


@dataclass(frozen=True, slots=True)
class Steady:
    """A load that was held for a while. Milliseconds; ``cpu``: cores; ``lag_ms``: the harness's own delay.

    ``messages_a_second``: with the candidates' sound, at Gemini.
    """

    sessions: int
    cpu: float
    up_p50_ms: float
    up_p99_ms: float
    down_p50_ms: float
    down_p99_ms: float
    lag_ms: float
    kib_a_session: float
    lost_bytes: int
    messages_a_second: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        late = max(self.up_p99_ms, self.down_p99_ms) > LIMIT_MS
        return not late and self.lost_bytes == 0 and not self.faults

    @property
    def doubtful(self) -> bool:
        """Whether it was the harness that could not keep up."""
        return self.lag_ms > LAG_MS


def _set_up(load: Load, sessions: int) -> bool:
    return len(load.set_up_seconds) >= sessions


def under_load(
    bridge: Bridge, pattern: Pattern, setting: Setting
) -> AbstractContextManager[tuple[Device, Load]]:
    """Start the bridge, and the usual load around it."""
    return under(Load, bridge, pattern, setting)


@contextmanager
def under(
    kind: Callable[..., L], bridge: Bridge, pattern: Pattern, setting: Setting
) -> Iterator[tuple[Device, L]]:
    """Start the bridge, and a load around it."""
    with (
        encryption(setting.way) as encrypted,
        device.listener() as listener,
        device.running(
            bridge,
            python=setting.python,
            tree=setting.tree,
            cores=setting.cores,
            share=setting.share,
            nice=setting.nice,
            gemini_port=listener.getsockname()[1],
            encrypted=encrypted,
            log=setting.log,
        ) as tested,
    ):
        load = kind(
            pattern,
            tested.address,
            listener,
            gemini_tls=encrypted.gemini,
            browsers_tls=encrypted.browsers,
        )
        try:
            yield tested, load
        finally:
            load.close()


def connect(load: Load, sessions: int) -> bool:
    """Sessions begin one after another; whether all of them were set up in time."""
    for _ in range(sessions):
        load.connect()
        load.go(1 / CONNECTS_PER_SECOND)
    return load.go(SET_UP_SECONDS, until=lambda: len(load.set_up_seconds) == load.connected)


def steady(bridge: Bridge, pattern: Pattern, sessions: int, setting: Setting) -> Steady:
    """Holds a number of sessions for a while."""
    with under_load(bridge, pattern, setting) as (tested, load):
        before_kib = tested.pss_kib()
        connect(load, sessions)
        load.go(WARM_UP_SECONDS)
        load.samples.clear()
        cpu = tested.cpu_seconds()
        load.go(setting.seconds / 2)
        tested.scrape()
        load.go(setting.seconds / 2)
        cpu = tested.cpu_seconds() - cpu
        kib = tested.pss_kib() - before_kib
        samples = load.samples
        messages = samples.messages
        up, down, lag = (sorted(each) for each in (samples.up, samples.down, samples.lag))
        load.drained(DRAIN_SECONDS)
        faults = load.faults()
        if len(load.set_up_seconds) < sessions:
            faults.append(f"{sessions - len(load.set_up_seconds)} sessions were never set up")
        return Steady(
            sessions=sessions,
            cpu=cpu / setting.seconds,
            up_p50_ms=percentile(up, 0.50),
            up_p99_ms=percentile(up, 0.99),
            down_p50_ms=percentile(down, 0.50),
            down_p99_ms=percentile(down, 0.99),
            lag_ms=percentile(lag, 0.99),
            kib_a_session=kib / sessions,
            lost_bytes=load.lost_bytes(),
            messages_a_second=messages / setting.seconds,
            faults=faults[:3],
        )


def capacity(
    bridge: Bridge,
    pattern: Pattern,
    setting: Setting,
    *,
    start: int,
    told: Callable[[Steady], None] = lambda _: None,
) -> Steady:
    """The most sessions that are held, within five per cent."""

    def tried(sessions: int) -> Steady:
        result = steady(bridge, pattern, sessions, setting)
        told(result)
        return result

    return most(tried, start=start)


class Held(Protocol):
    """What came of so many sessions."""

    @property
    def sessions(self) -> int: ...

    @property
    def held(self) -> bool: ...


H = TypeVar("H", bound=Held)


def most(once: Callable[[int], H], *, start: int) -> H:
    """The most sessions that are held, within five per cent: up by half until it fails, then halfway back.

    A number that fails is tried a second time: on a shared machine one failure proves little.
    """

    def tried(sessions: int) -> H:
        result = once(sessions)
        return result if result.held else once(sessions)

    best = tried(start)
    while not best.held and best.sessions > 1:
        best = tried(best.sessions * 2 // 3)
    too_many = 0
    while not too_many:
        more = tried(best.sessions * 3 // 2 + 1)
        if more.held:
            best = more
        else:
            too_many = more.sessions
    while too_many - best.sessions > max(1, best.sessions // 20):
        middle = tried((best.sessions + too_many) // 2)
        if middle.held:
            best = middle
        else:
            too_many = middle.sessions
    return best


@dataclass(frozen=True, slots=True)
class SetUp:
    """From connecting to the first audio at Gemini, while ``sessions`` others talk. Milliseconds."""

    sessions: int
    p50_ms: float
    p99_ms: float


def set_up(bridge: Bridge, pattern: Pattern, sessions: int, setting: Setting, *, tries: int = 200) -> SetUp:
    with under_load(bridge, pattern, setting) as (_tested, load):
        connect(load, sessions)
        load.go(WARM_UP_SECONDS)
        talking = set(load.set_up_seconds)
        for _ in range(tries):
            browser = load.connect()
            load.go(SET_UP_SECONDS, until=lambda it=browser: it.number in load.set_up_seconds)  # type: ignore[misc]
            browser.end()
            load.go(0.1)
            load.forget_closed()
        taken = sorted(
            int(seconds * 1e9) for number, seconds in load.set_up_seconds.items() if number not in talking
        )
        return SetUp(sessions, percentile(taken, 0.5), percentile(taken, 0.99))


@dataclass(frozen=True, slots=True)
class Footprint:
    """An idle device: seconds from its start to ready, and what it takes then."""

    ready_seconds: float
    idle_rss_kib: int
    idle_pss_kib: int
    idle_cpu: float


def footprint(bridge: Bridge, pattern: Pattern, setting: Setting, *, starts: int = 5) -> Footprint:
    """The median start of a few; then what it takes while nothing happens."""
    ready: list[float] = []
    for number in range(starts):
        with under_load(bridge, pattern, setting) as (tested, load):
            ready.append(tested.ready_seconds)
            if number == starts - 1:
                cpu = tested.cpu_seconds()
                load.go(setting.seconds)
                used = (tested.cpu_seconds() - cpu) / setting.seconds
                return Footprint(sorted(ready)[starts // 2], tested.rss_kib(), tested.pss_kib(), used)
    raise AssertionError("there is at least one start")


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory over many short sessions: KiB after each tenth of them."""

    sessions: int
    rss_kib: list[int]
    faults: list[str]

    @property
    def bytes_a_session(self) -> float:
        """From the first tenth, after which everything that is loaded late is loaded, to the last."""
        return (self.rss_kib[-1] - self.rss_kib[0]) * 1024 / (self.sessions * 0.9)


def growth(bridge: Bridge, pattern: Pattern, setting: Setting, *, sessions: int, at_once: int = 20) -> Growth:
    """Sessions of half a second each, a few at a time."""
    with under_load(bridge, pattern, setting) as (tested, load):
        rss: list[int] = []
        faults: list[str] = []
        done = 0
        while done < sessions:
            for _ in range(at_once):
                load.connect()
            if not load.go(SET_UP_SECONDS, until=partial(_set_up, load, done + at_once)):
                faults.append(f"a session was not set up after {done}")
                break
            load.go(0.1)
            faults += [fault for fault in (browser.fault for browser in load.browsers) if fault]
            for browser in load.browsers:
                browser.end()
            load.go(SET_UP_SECONDS, until=lambda: all(browser.wire.closed for browser in load.browsers))
            load.forget_closed()
            done += at_once
            if done * 10 // sessions > len(rss):
                rss.append(tested.rss_kib())
        return Growth(done, rss, faults[:3])


@dataclass(frozen=True, slots=True)
class Overload:
    """More sessions than a core holds. ``least``: the worst served session's share of what it sent in time."""

    sessions: int
    least: float
    median: float
    lost_bytes: int
    drained: bool
    faults: list[str]


def overload(bridge: Bridge, pattern: Pattern, sessions: int, setting: Setting) -> Overload:
    """Half as much again as it can: everybody is served alike, and all arrives in the end."""
    with under_load(bridge, pattern, setting) as (_tested, load):
        connect(load, sessions)
        load.go(WARM_UP_SECONDS)
        before = [gemini.heard.taken_bytes for gemini in load.geminis]
        sent = [browser.voice.sent_bytes for browser in load.browsers]
        load.go(setting.seconds)
        heard = sorted(
            gemini.heard.taken_bytes - was for gemini, was in zip(load.geminis, before, strict=False)
        )
        said = sorted(
            browser.voice.sent_bytes - was for browser, was in zip(load.browsers, sent, strict=False)
        )
        drained = load.drained(10 * DRAIN_SECONDS)
        middle = max(1, said[len(said) // 2])
        return Overload(
            sessions,
            heard[0] / middle,
            heard[len(heard) // 2] / middle,
            load.lost_bytes(),
            drained,
            load.faults()[:3],
        )


def percentile(ordered: "list[int] | array[int]", share: float) -> float:
    """A percentile of sorted nanoseconds, in milliseconds; nothing measured is as bad as can be."""
    return ordered[int((len(ordered) - 1) * share)] / 1e6 if ordered else float("inf")
