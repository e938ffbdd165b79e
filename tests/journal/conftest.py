"""What all tests of the journal share."""

from collections.abc import Iterator

import pytest

from tests.durable import close_databases


@pytest.fixture(autouse=True)
def _databases() -> Iterator[None]:
    yield
    close_databases()
