"""Holds a transcript's pieces back for pages from before the subprotocol preppal.v1.

Such a page ignores an update without text, so that a turn's end which comes alone closes nothing and turns run together
on its screen (seen with both of the application's older pages). The end travels with the last piece that has text.
"""

from msgspec.structs import replace

from preppald.core.turns import Fragment

# How long a piece waits for the next, or for the turn's end: less than a reader notices in captions.
HOLD_SECONDS = 0.3
# Carries a turn's end where the last piece has gone already.
BLANK = " "


class Pieces:
    """Decide when a piece goes out. The numbers and the text of what is stored are not touched.

    ``held``: the piece that waits, if any.
    """

    def __init__(self) -> None:
        self.held: Fragment | None = None
        self._since = 0.0

    def show(self, piece: Fragment, now: float) -> list[Fragment]:
        """Take the next piece; return what goes out now, in order. ``now``: seconds on any clock that goes forward."""
        held, self.held = self.held, None
        if piece.text and not piece.turn_complete:
            self.held, self._since = piece, now
            return [] if held is None else [held]
        if held is not None and not piece.text and held.turn == piece.turn:
            return [replace(held, turn_complete=piece.turn_complete, seq=piece.seq)]
        out = [] if held is None else [held]
        if piece.turn_complete:
            out.append(piece if piece.text else replace(piece, text=BLANK))
        return out

    def due(self, now: float) -> list[Fragment]:
        """Return the piece that has waited long enough, if any."""
        return self.flush() if self.held is not None and now - self._since >= HOLD_SECONDS else []

    def flush(self) -> list[Fragment]:
        """Return the piece that waits, if any."""
        held, self.held = self.held, None
        return [] if held is None else [held]
