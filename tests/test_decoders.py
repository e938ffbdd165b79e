"""Any bytes decode, or raise the one error type: each decoder, with Hypothesis. See tests/fuzz for the long way."""

from hypothesis import example, given, settings, strategies as st
import pytest

from tests.fuzz.targets import SEEDS, TARGETS

# What atheris found, and is repaired.
FOUND = {"answer": (b"\xf1\x90\x02\x1f7",), "environment": (b"\x80",)}


def mutated(seed: bytes) -> st.SearchStrategy[bytes]:
    """Something right with a piece of it replaced by anything, or repeated."""
    end = len(seed)
    return st.builds(
        lambda at, length, other, times: seed[:at] + other * times + seed[at + length :],
        st.integers(0, end),
        st.integers(0, end),
        st.binary(max_size=12),
        st.sampled_from([1, 1, 1, 2, 50, 2000]),
    )


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_decode_or_are_refused(name: str) -> None:
    """Bytes from nowhere, and right ones that were damaged."""
    damaged = [mutated(seed) for seed in SEEDS[name]]

    @given(st.one_of(st.binary(max_size=300), *damaged))
    @settings(max_examples=150)
    @example(b"")
    def decode(data: bytes) -> None:
        TARGETS[name](data)

    decode()
    for found in FOUND.get(name, ()):
        TARGETS[name](found)
    for seed in SEEDS[name]:
        TARGETS[name](seed)


def test_every_target_has_a_beginning() -> None:
    assert set(SEEDS) == set(TARGETS)
