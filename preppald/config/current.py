"""The configuration that counts now."""

from preppald.config.settings import Config


class Current:
    """Holds ``config``; a reload puts another one in its place.

    An interview takes ``config`` once, at its beginning, and keeps it; everything else asks each time.
    """

    __slots__ = ("config",)

    def __init__(self, config: Config) -> None:
        self.config = config
