"""The backend of all hosts: it knows what the database held at each post, and who posted."""

import random

from preppald.core.deliveries import Delivery
from preppald.journal import rows
from tests.simulation.application import Application, Client
from tests.simulation.fleet.engine import Engine


class Bookkeeper(Application):
    """``unheld``: sentences about posts of what the database did not hold. ``twice``: keys with two contents."""

    def __init__(self, chance: random.Random, engine: Engine) -> None:
        super().__init__(chance)
        self.unheld: list[str] = []
        self._engine = engine

    def audit(self, delivery: Delivery, client: Client) -> None:  # noqa: ARG002 - whoever posts
        held = self._engine.tables.owed.get(delivery.key)
        if held is None:
            self.unheld.append(f"{delivery.key} was posted before the database had it")
        elif rows.owed(held.row).delivery.payload != delivery.payload:
            self.unheld.append(f"{delivery.key} was posted, and the database holds other words")
