"""Circuits: what they come to in every semiring, against the same sums and products worked out plainly."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmsb
from mmsb.algebra import Circuit, Node

FAR = np.iinfo("i8").max
WAYS = mmsb.semiring(
    "ways", np.minimum, lambda a, b: np.where((a == FAR) | (b == FAR), FAR, a + b), FAR, 0, "i8",
    domain=lambda a: (a == FAR) | ((a >= 0) & (a < 1 << 60)),
)  # fmt: skip
WRAPS = mmsb.semiring("wraps", np.add, np.multiply, 0, 1, "i8")


def test_the_example_of_the_docstring() -> None:
    c = Circuit()
    a, b, d = (c.source(name) for name in ("a", "b", "d"))
    way = a * b + d
    assert c.why(way) == {frozenset("ab"), frozenset("d")}
    assert c.evaluate(way, {"a": 2, "b": 3, "d": 9}, "min_plus") == 5.0
    assert c.evaluate(way, lambda source: 1, "counting") == 2
    assert c.evaluate(way, {"a": 2, "b": 3, "d": 9}, WAYS) == 5
    assert c.evaluate([way, a, c.zero, c.one], {"a": 2, "b": 3, "d": 9}, "plus_times", "i8").tolist() == [
        15,
        2,
        0,
        1,
    ]
    assert c.sources(way) == ("a", "b", "d")
    assert c.sources(a * a) == ("a",)


def test_sums_and_products_are_there_once() -> None:
    c = Circuit()
    a, b = c.source("a"), c.source(("b", 3))
    assert a + b == b + a
    assert a * b == b * a
    assert a + b != a * b
    assert len({a, c.source("a"), b}) == 2
    assert sum([a, b]) == a + b
    assert math.prod([a, b]) == a * b
    assert a * 0 == c.zero
    assert a + c.zero == a * c.one == a
    assert len(c) == 6
    assert "4 gates" not in repr(c)


@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 20)), max_size=15),
    values=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_nodes_come_to_what_their_sums_and_products_do(
    steps: list[tuple[bool, int, int]], values: list[int]
) -> None:
    c = Circuit()
    nodes: list[Node] = [c.source(n) for n in range(4)]
    numbers = list(values)
    least: list[float] = list(values)
    why = [{frozenset([n])} for n in range(4)]
    for adds, i, j in steps:
        i, j = i % len(nodes), j % len(nodes)
        nodes.append(nodes[i] + nodes[j] if adds else nodes[i] * nodes[j])
        wide = numbers[i] + numbers[j] if adds else numbers[i] * numbers[j]
        numbers.append((wide + 2**63) % 2**64 - 2**63)
        least.append(min(least[i], least[j]) if adds else least[i] + least[j])
        why.append(why[i] | why[j] if adds else {a | b for a in why[i] for b in why[j]})
    given_values = dict(enumerate(values))
    assert c.evaluate(nodes, given_values, "plus_times", "i8").tolist() == numbers
    assert c.evaluate(nodes, given_values, WRAPS).tolist() == numbers
    assert c.evaluate(nodes, given_values, "min_plus").tolist() == least
    assert c.evaluate(nodes, given_values, WAYS).tolist() == least
    assert c.evaluate(nodes, lambda n: values[n] > 1, "boolean").tolist() == [
        any(all(values[n] > 1 for n in each) for each in sets) for sets in why
    ]
    for node, sets in zip(nodes, why, strict=True):
        assert c.why(node) == sets
        assert set(c.sources(node)) >= set().union(*sets)


def test_a_deep_circuit_is_no_trouble() -> None:
    c = Circuit()
    node, a = c.one, c.source("a")
    for _ in range(5_000):
        node = node * a + a
    assert c.evaluate(node, {"a": 1}, WRAPS) == 5_001
    assert c.evaluate(node, {"a": 1}, "counting") == 5_001
    assert c.why(node * 0) == frozenset()


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda c, a: c.evaluate(a, {}, "min_plus"), mmsb.InvalidArgument, "source 'a' has no value"),
    (lambda c, a: c.evaluate(a, {"a": 1}, "nope"), mmsb.InvalidArgument, "no semiring 'nope'"),
    (lambda c, a: c.evaluate(a, {"a": 1.5}, "counting"), mmsb.ValueRangeError, "1.5 does not fit uint64"),
    (lambda c, a: c.evaluate(a, {"a": 1}, "counting", "f8"), mmsb.DtypeError, "not for cells of 'f8'"),
    (lambda c, a: c.evaluate(a, {"a": 1}, WAYS, "f8"), mmsb.DtypeError, "on cells of int64, not of float64"),
    (lambda c, a: a + Circuit().source("a"), mmsb.InvalidArgument, "no node of this circuit"),
    (lambda c, a: a * 2, mmsb.InvalidArgument, "2 is no node"),
    (lambda c, a: c.why(Circuit().one), mmsb.InvalidArgument, "no node of this circuit"),
]


@pytest.mark.parametrize(("bad", "error", "words"), BAD)
def test_what_cannot_be_is_refused(bad: Any, error: type[Exception], words: str) -> None:
    c = Circuit()
    with pytest.raises(error, match=words):
        bad(c, c.source("a"))
