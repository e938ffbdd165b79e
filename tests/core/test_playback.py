"""When the candidate hears what was sent."""

from preppald.core.playback import Playback


def test_each_piece_plays_after_the_one_before() -> None:
    """Sent ahead, it waits; sent late, it begins when it is sent."""
    playback = Playback()
    assert [playback.queue(2.0, 10.0), playback.queue(2.0, 10.5), playback.queue(1.0, 20.0)] == [10, 12, 20]
    assert playback.until == 21


def test_stopping_says_how_much_was_not_heard() -> None:
    """What comes then plays at once."""
    playback = Playback()
    playback.queue(4.0, 1.0)
    assert playback.stop(2.0) == 3.0
    assert playback.stop(9.0) == 0.0
    assert playback.queue(1.0, 9.5) == 9.5
