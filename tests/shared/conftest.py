"""A PostgreSQL for each file of checks; one that makes its own has a fixture of its own by these names."""

from collections.abc import Iterator

import pytest

from tests.shared.server import Server, running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Server]:
    with running() as it:
        yield it


@pytest.fixture
def server(cluster: Server) -> Server:
    """A server that runs, without our tables; a check may have stopped it."""
    if cluster.process is None:
        cluster.start()
    cluster.sql("DROP SCHEMA IF EXISTS preppald CASCADE")
    return cluster
