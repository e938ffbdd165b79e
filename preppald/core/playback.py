"""When the candidate hears what was sent: the interviewer's voice comes faster than it plays."""


class Playback:
    """A queue that plays in real time, in any one unit of time: seconds, or samples.

    ``until``: when all that was queued so far has been heard.
    """

    def __init__(self) -> None:
        self.until = 0.0

    def queue(self, length: float, now: float) -> float:
        """Audio of this length was sent; when it begins to be heard."""
        begins = max(self.until, now)
        self.until = begins + length
        return begins

    def stop(self, now: float) -> float:
        """The rest is never heard; how much that was."""
        unheard = max(0.0, self.until - now)
        self.until = now
        return unheard
