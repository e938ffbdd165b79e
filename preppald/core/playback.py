"""The candidate's playback, estimated: the interviewer's voice comes faster than it plays."""


class Playback:
    """A queue that plays in real time, in any one unit of time: seconds, or samples.

    ``until``: the time at which the queue has been heard to its end.
    """

    def __init__(self) -> None:
        self.until = 0.0

    def queue(self, length: float, now: float) -> float:
        """Note that audio of this length was sent; return the time at which its playback begins."""
        begins = max(self.until, now)
        self.until = begins + length
        return begins

    def stop(self, now: float) -> float:
        """Drop the rest, which is never heard; return its length."""
        unheard = max(0.0, self.until - now)
        self.until = now
        return unheard
