"""Log lines: whoever reads them, or does not, nobody waits."""

from collections.abc import Iterator
import io
import json
import logging
import os
from pathlib import Path
import re
import threading
import time

import pytest

from preppald.telemetry import logs
from preppald.telemetry.logs import REPEAT_SECONDS, LineQueue, configure

SECRET = "CANARY-token"


@pytest.fixture
def handlers() -> Iterator[None]:
    """Leaves the libraries' loggers as they were."""
    before = {name: logging.getLogger(name) for name in logs.TALKATIVE_LIBRARIES}
    state = {name: (found.handlers, found.propagate, found.level) for name, found in before.items()}
    yield
    for name, (handlers, propagate, level) in state.items():
        before[name].handlers, before[name].propagate = handlers, propagate
        before[name].setLevel(level)


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_keys(handlers: None) -> None:
    """One object a line, whatever stands in it."""
    stream = io.StringIO()
    log, close = configure("json", "info", stream)
    log.info("thing.happened", words='a "quote"\nand a line', number=7)
    log.debug("thing.below_the_level")
    close()
    (line,) = lines_of(stream)
    assert (line["event"], line["level"], line["number"]) == ("thing.happened", "info", 7)
    assert line["words"] == 'a "quote"\nand a line'


def test_a_line_begins_with_what_is_looked_for_first(handlers: None) -> None:
    """A narrow terminal, and a journal that is asked for warnings only."""
    stream = io.StringIO()
    log, close = configure("json", "info", stream, priorities=True)
    log.info("thing.happened", number=7)
    log.warning("thing.failed", number=8)
    log.error("thing.broke", number=9)
    close()
    written = [line.partition(">") for line in stream.getvalue().splitlines()]
    assert [priority for priority, _, _ in written] == ["<6", "<4", "<3"]
    for _, _, line in written:
        assert list(json.loads(line)) == ["timestamp", "level", "event", "number"]


def test_for_people_words_come_before_numbers(handlers: None) -> None:
    """Time, level, event and interview first, whatever the order in which they were given."""
    stream = io.StringIO()
    log, close = configure("console", "info", stream)
    log.bind(epoch=3, interview="iv-1").info("thing.happened", seconds=7, ending="time_up", resumed=True)
    close()
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"20\S+Z \[info +\] thing\.happened +interview=iv-1 ending=time_up epoch=3 seconds=7 resumed=True",
        line,
    )


def test_a_pipe_that_nobody_reads_stops_nobody(handlers: None) -> None:
    """Writers never wait; what does not fit is dropped, and the one who reads again learns how much that was."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "r") as reader:
        queue = LineQueue(stream, limit_bytes=10_000)
        began = time.monotonic()
        for _ in range(5_000):
            queue.msg("x" * 99)
        assert time.monotonic() - began < 1.0
        counted = [0, 0]
        complete = threading.Event()

        def read() -> None:
            # How often lines are dropped is the scheduler's choice; each time it is told.
            for line in reader:
                dropped = json.loads(line)["lines"] if "log.dropped" in line else 0
                counted[0] += not dropped
                counted[1] += dropped
                if sum(counted) >= 5_000:
                    complete.set()
                    return

        threading.Thread(target=read, daemon=True).start()
        assert complete.wait(10)
        assert sum(counted) == 5_000
        assert counted[1] > 4_000
        queue.close()


def test_a_full_disk_ends_no_log(handlers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines for which there is no room are counted, and the log goes on as soon as there is some."""
    monkeypatch.setattr(logs, "ROOM_SECONDS", 0.01)
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - the queue's, until it is closed
    queue = LineQueue(stream)
    queue.msg("no room")
    time.sleep(0.1)
    with (tmp_path / "log").open("w") as roomy:
        os.dup2(roomy.fileno(), stream.fileno())
    give_up = time.monotonic() + 10
    while "log.dropped" not in (written := (tmp_path / "log").read_text("utf-8")):
        assert time.monotonic() < give_up, written
        queue.msg("room")
        time.sleep(0.02)
    queue.close()
    stream.close()
    lines = (tmp_path / "log").read_text("utf-8").split()
    assert lines.count("room") >= 1
    assert '{"event":"log.dropped","level":"warning","lines":1}' in "".join(lines)


def test_a_reader_that_has_gone_ends_the_lines_and_no_more(handlers: None) -> None:
    """The daemon outlives the terminal that it was started from."""
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    queue = LineQueue(stream)
    queue.msg("nobody reads this")
    for writer in [it for it in threading.enumerate() if it.name == "log-writer"]:
        writer.join(5)
        assert not writer.is_alive()
    for _ in range(100_000):
        queue.msg("x" * 100)
    assert queue._bytes <= logs.QUEUE_BYTES
    queue.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_library_says_the_same_once_in_ten_seconds(handlers: None) -> None:
    """trio.serve_listeners warns ten times a second, each time with a traceback, while descriptors are short."""
    stream = io.StringIO()
    now = 1000.0
    log, close = configure("json", "info", stream, clock=lambda: now)
    for _ in range(600):
        logging.getLogger("trio.serve_listeners").error(
            "accept returned %s", "EMFILE", exc_info=OSError(24, "x")
        )
        logging.getLogger("websockets.server").warning("another %d", 7)
        now += 0.1
    close()
    told = [line for line in lines_of(stream) if line["text"] == "accept returned EMFILE"]
    assert 60 / REPEAT_SECONDS <= len(told) <= 60 / REPEAT_SECONDS + 1
    assert sum(int(str(line["untold"])) for line in told) + len(told) >= 500
    assert len(lines_of(stream)) == 2 * len(told)
    assert "Traceback" not in stream.getvalue()
    assert log is not None


def test_libraries_say_nothing_below_a_warning(handlers: None) -> None:
    """httpx logs URLs at INFO, websockets headers at DEBUG."""
    stream = io.StringIO()
    _, close = configure("json", "debug", stream)
    for name in ("httpx", "httpcore.http11", "websockets.server", "trio-websocket"):
        logging.getLogger(name).info("GET /?token=%s", SECRET)
        logging.getLogger(name).debug("Authorization: %s", SECRET)
    close()
    assert SECRET not in stream.getvalue()


def test_only_so_many_different_warnings_are_remembered(handlers: None) -> None:
    stream = io.StringIO()
    _, close = configure("json", "info", stream)
    (handler,) = logging.getLogger("trio").handlers
    for number in range(1000):
        logging.getLogger("trio").warning(f"warning {number}")  # noqa: G004 - as a careless library would
    assert len(handler._said) <= logs.MAX_WARNINGS  # type: ignore[attr-defined]
    close()
