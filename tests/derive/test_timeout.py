"""Functions that take too long."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import mmsb


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def test_a_function_that_does_not_end_is_stopped(bus: mmsb.Bus) -> None:
    """By the timeout that it was declared with."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow = False

    def spins(a: Any) -> Any:
        while slow:
            pass
        return a + 0

    made = bus.derive("b", spins, inputs=[source], shape=(4,), dtype="int64", timeout=0.2)
    slow = True
    with pytest.raises(mmsb.RuleError, match=r"the rule ran for more than 0.2 s") as caught:
        source[0] = 1
    assert isinstance(caught.value.__cause__, mmsb.RuleTimeout)
    slow = False
    source[0] = 2
    assert made.array[0] == 2


def test_one_that_catches_its_timeout_was_too_slow_all_the_same(bus: mmsb.Bus) -> None:
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow = False

    def hides(a: Any) -> Any:
        with contextlib.suppress(Exception):
            while slow:
                pass
        return a + 0

    made = bus.derive("b", hides, inputs=[source], shape=(4,), dtype="int64", timeout=0.05)
    slow = True
    with pytest.raises(mmsb.RuleError, match=r"page 'b'.*the rule ran for more than 0.05 s"):
        source[0] = 1
    slow = False
    source[0] = 2
    assert made.array[0] == 2


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e30])
def test_a_timeout_that_cannot_be_is_refused(bus: mmsb.Bus, timeout: float) -> None:
    source = bus.create_page("a", shape=(4,), dtype="int64")
    with pytest.raises(mmsb.InvalidArgument, match=r"page 'b': timeout .*: it is more than 0 s"):
        bus.derive("b", lambda a: a, inputs=[source], shape=(4,), dtype="int64", timeout=timeout)
