"""Monoids and semirings: the built-in ones as Rust tells of them, and those of users, held to every law."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmsb


def saturating(a: Any, b: Any) -> Any:
    """Lengths of integers, where the largest one is no way."""
    far = np.iinfo(a.dtype).max
    return np.where((a == far) | (b == far) | (a > far - np.minimum(b, far - 1)), far, a + b)


def test_builtin_semirings_are_what_rust_says() -> None:
    ways = mmsb.semiring("min_plus")
    assert [dtype.name for dtype in ways.dtypes] == ["int32", "int64", "float32", "float64"]
    assert (ways.add, ways.multiply) == ("min", "plus")
    on = ways["float64"]
    assert (on.zero, on.one) == (np.inf, 0.0)
    assert on.capabilities == {"idempotent", "selective", "absorptive", "total order", "commutative"}
    assert mmsb.semiring("min_plus")["i8"].zero == np.iinfo("i8").max
    assert mmsb.semiring("min_plus")["i8"].capabilities == on.capabilities | {"exact"}
    assert mmsb.semiring("gf2")["bool"].capabilities == {"exact", "invertible", "commutative"}
    assert mmsb.semiring("counting").dtypes == (np.dtype("u8"),)
    assert mmsb.monoid("sum")["float16"].identity == 0
    assert mmsb.monoid("min")["u1"].identity == 255
    assert "idempotent" in mmsb.monoid("max")["int8"].capabilities
    for family in map(mmsb.semiring, mmsb.algebra.kinds.SEMIRINGS):
        for one in family:
            assert one.is_builtin
            assert one.dtype == one.zero.dtype == one.one.dtype


def accepted() -> list[Callable[[], Any]]:
    top = np.iinfo("i8").max
    lengths = lambda a: (a == top) | ((a >= 0) & (a < 1 << 60))  # noqa: E731 - one of many
    units = lambda a: (a >= 0) & (a <= 1)  # noqa: E731 - one of many
    lukasiewicz = lambda a, b: np.maximum(0, a + b - 1)  # noqa: E731 - one of many
    paths = ["absorptive", "total_order"]
    return [
        lambda: mmsb.semiring("plain", np.add, np.multiply, 0, 1, "f8"),
        lambda: mmsb.semiring("plain", np.add, np.multiply, 0, 1, "f4"),
        lambda: mmsb.semiring("plain", np.add, np.multiply, 0, 1, "f2"),
        lambda: mmsb.semiring("wraps", np.add, np.multiply, 0, 1, "i8", claims="commutative"),
        lambda: mmsb.semiring("wraps", np.add, np.multiply, 0, 1, "u1"),
        lambda: mmsb.semiring("any", np.logical_or, np.logical_and, False, True, bool, claims=paths),
        lambda: mmsb.semiring("bits", np.bitwise_or, np.bitwise_and, 0, 255, "u1", claims="absorptive"),
        lambda: mmsb.semiring("tropical", np.minimum, np.add, np.inf, 0, "f8", claims="selective"),
        lambda: mmsb.semiring("ways", np.minimum, saturating, top, 0, "i8", claims=paths, domain=lengths),
        lambda: mmsb.semiring("fuzzy", np.maximum, lukasiewicz, 0, 1, "f8", claims=paths, domain=units),
        lambda: mmsb.semiring("gcd", np.gcd, np.multiply, 0, 1, "i8", domain=lambda a: (a >= 0) & (a < 99)),
        lambda: mmsb.semiring("slow", max, min, -(2**15), 2**15 - 1, "i2", scalar=True, claims=paths),
        lambda: mmsb.monoid("hypot", np.hypot, 0.0, "f8", domain=lambda a: (a >= 0) & (a < 1e70)),
        lambda: mmsb.monoid("logadd", np.logaddexp, -np.inf, "f8"),
        lambda: mmsb.monoid("lcm", np.lcm, 1, "i8", claims="idempotent", domain=lambda a: (a > 0) & (a < 99)),
        lambda: mmsb.monoid("odd", np.bitwise_xor, 0, "i4"),
    ]


@pytest.mark.parametrize("declare", accepted())
def test_what_keeps_its_laws_is_taken(declare: Callable[[], Any]) -> None:
    made = declare()
    assert repr(made).startswith("<")
    assert repr(declare()) == repr(made)


def test_what_is_declared_says_what_it_is() -> None:
    units = mmsb.semiring(
        "fuzzy", np.maximum, np.minimum, 0, 1, "f4", claims="absorptive", domain=lambda a: (a >= 0) & (a <= 1)
    )
    assert (units.add, units.multiply, units.zero, units.one) == ("maximum", "minimum", 0, 1)
    assert units.dtype == units.zero.dtype == np.dtype("f4")
    assert units.capabilities == {"absorptive", "idempotent"}
    assert "a * (b + c) = a*b + a*c" in units.laws
    assert "a + a*b = a" in units.laws
    larger = mmsb.monoid("larger", np.maximum, 0, "u4", claims="total_order")
    assert larger.capabilities == {"commutative", "exact", "idempotent", "selective", "total order"}
    assert larger.laws == (
        "(a + b) + c = a + (b + c)",
        "a + b = b + a",
        "0 + a = a",
        "a + a = a",
        "a + b is a or b",
    )
    assert larger([1, 5], 3).tolist() == [3, 5]


F8 = "f8"
BROKEN: list[tuple[Callable[[], Any], str]] = [
    (lambda: mmsb.monoid("less", np.subtract, 0, "i8"), "addition is associative"),
    (lambda: mmsb.monoid("mean", lambda a, b: (a + b) / 2, 0, F8), "addition is associative"),
    (lambda: mmsb.monoid("left", lambda a, b: a.copy(), 0, "i8"), "addition is commutative"),
    (lambda: mmsb.monoid("plus", np.add, 1, "i8"), "zero is the identity of addition"),
    (lambda: mmsb.monoid("plus", np.add, 0, F8, claims="exact"), "addition is associative"),
    (lambda: mmsb.monoid("plus", np.add, 0, "u1", claims="idempotent"), "addition is idempotent"),
    (lambda: mmsb.monoid("bits", np.bitwise_or, 0, "u1", claims="selective"), "addition is selective"),
    (lambda: mmsb.semiring("x", np.add, np.subtract, 0, 0, "i8"), "multiplication is associative"),
    (lambda: mmsb.semiring("x", np.add, np.multiply, 0, 2, "i8"), "left identity"),
    (lambda: mmsb.semiring("x", np.minimum, np.add, np.iinfo("i8").max, 0, "i8"), "distributes|annihilates"),
    (lambda: mmsb.semiring("x", np.add, np.add, 0, 0, "i8"), "distributes|annihilates"),
    (lambda: mmsb.semiring("x", np.maximum, np.multiply, 0, 1, F8), "identity|distributes"),
    (lambda: mmsb.semiring("x", np.minimum, np.add, np.inf, 0, F8, claims="absorptive"), "absorbs"),
    (
        lambda: mmsb.semiring("x", np.logical_xor, np.logical_or, False, False, bool),
        "distributes|annihilates",
    ),
    (lambda: mmsb.semiring("x", np.maximum, np.minimum, 0, 2**31, "u4"), "identity"),
]


@pytest.mark.parametrize(("declare", "law"), BROKEN)
def test_a_broken_law_is_refused_with_what_breaks_it(declare: Callable[[], Any], law: str) -> None:
    with pytest.raises(mmsb.BrokenLaw, match=law) as caught:
        declare()
    error = caught.value
    assert error.code == "broken-law"
    assert error.law in str(error)
    assert error.formula in str(error)
    assert error.values
    for name, value in error.values.items():
        assert f"{name} = {value!r}" in str(error)
    assert error.left != error.right
    with pytest.raises(mmsb.BrokenLaw) as again:
        declare()
    assert str(again.value) == str(error)


def test_the_message_names_who_and_what() -> None:
    far = np.iinfo("i8").max
    with pytest.raises(mmsb.BrokenLaw) as caught:
        mmsb.semiring(
            "ways", np.minimum, np.add, far, 0, "i8", domain=lambda a: (a == far) | (a >= 0) & (a < 1 << 60)
        )
    assert str(caught.value).startswith("semiring 'ways' on int64 breaks a law: ")
    document = (Path(__file__).parents[2] / "docs" / "algebra.md").read_text(encoding="utf-8")
    assert f"BrokenLaw: {caught.value}" in " ".join(document.split())
    with pytest.raises(mmsb.BrokenLaw, match=r"with a = 1, where 0 stands for 1, the left side is 2 and"):
        mmsb.monoid("plus", np.add, 1, "i8")


SIZE = 4


def table(cells: list[int]) -> Callable[[Any, Any], Any]:
    """An operation by its table."""
    made = np.array(cells, "u1").reshape(SIZE, SIZE)
    return lambda a, b: made[np.minimum(a, SIZE - 1), np.minimum(b, SIZE - 1)]


def plain(op: Callable[[int, int], int]) -> list[int]:
    return [op(a, b) for a in range(SIZE) for b in range(SIZE)]


KNOWN = [
    (plain(lambda a, b: (a + b) % SIZE), plain(lambda a, b: a * b % SIZE), 0, 1),
    (plain(max), plain(min), 0, SIZE - 1),
    (plain(min), plain(max), SIZE - 1, 0),
    (plain(lambda a, b: a | b), plain(lambda a, b: a & b), 0, SIZE - 1),
    (plain(min), plain(lambda a, b: min(SIZE - 1, a + b)), SIZE - 1, 0),
]
SIDES: dict[str, Callable[..., tuple[int, int]]] = {
    "(a + b) + c = a + (b + c)": lambda p, t, z, o, a, b, c: (p(p(a, b), c), p(a, p(b, c))),
    "a + b = b + a": lambda p, t, z, o, a, b, c: (p(a, b), p(b, a)),
    "0 + a = a": lambda p, t, z, o, a, b, c: (p(z, a), a),
    "(a * b) * c = a * (b * c)": lambda p, t, z, o, a, b, c: (t(t(a, b), c), t(a, t(b, c))),
    "1 * a = a": lambda p, t, z, o, a, b, c: (t(o, a), a),
    "a * 1 = a": lambda p, t, z, o, a, b, c: (t(a, o), a),
    "a * (b + c) = a*b + a*c": lambda p, t, z, o, a, b, c: (t(a, p(b, c)), p(t(a, b), t(a, c))),
    "(a + b) * c = a*c + b*c": lambda p, t, z, o, a, b, c: (t(p(a, b), c), p(t(a, c), t(b, c))),
    "0 * a = 0": lambda p, t, z, o, a, b, c: (t(z, a), z),
    "a * 0 = 0": lambda p, t, z, o, a, b, c: (t(a, z), z),
    "a + a*b = a": lambda p, t, z, o, a, b, c: (p(a, t(a, b)), a),
    "a + a = a": lambda p, t, z, o, a, b, c: (p(a, a), a),
}


@given(
    known=st.sampled_from(KNOWN),
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 15), st.integers(0, 3)), max_size=2),
    absorptive=st.booleans(),
)
def test_a_law_is_broken_just_where_a_plain_model_says_so(
    known: tuple[list[int], list[int], int, int], changes: list[tuple[bool, int, int]], absorptive: bool
) -> None:
    tables = [list(known[0]), list(known[1])]
    for which, at, value in changes:
        tables[which][at] = value
    plus, times = table(tables[0]), table(tables[1])
    zero, one = known[2], known[3]
    laws = [law for law in SIDES if absorptive or law not in ("a + a*b = a", "a + a = a")]
    places = range(SIZE)

    def sides(law: str, *values: int) -> tuple[int, int]:
        return SIDES[law](plus, times, zero, one, *values)

    kept = {
        law: all(
            one == other
            for a in places
            for b in places
            for c in places
            for one, other in [sides(law, a, b, c)]
        )
        for law in laws
    }

    def declare() -> mmsb.Semiring:
        claims = ["absorptive"] if absorptive else []
        return mmsb.semiring("mine", plus, times, zero, one, "u1", claims=claims, domain=lambda a: a < SIZE)

    if all(kept.values()):
        assert set(declare().laws) == set(laws)
        return
    with pytest.raises(mmsb.BrokenLaw) as caught:
        declare()
    error = caught.value
    assert not kept[error.formula]
    values = [error.values.get(name, 0) for name in "abc"]
    assert sides(error.formula, *values) == (error.left, error.right)


def raises(a: Any, b: Any) -> Any:
    raise ZeroDivisionError("no")


def counts() -> Callable[[Any, Any], Any]:
    calls = [0]

    def operation(a: Any, b: Any) -> Any:
        calls[0] += 1
        return a + b + calls[0]

    return operation


def writes(a: Any, b: Any) -> Any:
    a += b
    return a


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: mmsb.semiring("nope"), mmsb.InvalidArgument, "no semiring 'nope': boolean, min_plus"),
    (lambda: mmsb.monoid("nope"), mmsb.InvalidArgument, "no monoid 'nope': sum"),
    (lambda: mmsb.semiring("counting")["f8"], mmsb.DtypeError, "'counting' is not for cells of 'f8': uint64"),
    (lambda: mmsb.semiring("x", np.add, np.multiply, 0), mmsb.InvalidArgument, "one, dtype must be said"),  # type: ignore[call-overload]
    (lambda: mmsb.monoid("sum", np.add, 0, "i8"), mmsb.InvalidArgument, "'sum' is built in"),
    (lambda: mmsb.monoid(5, np.add, 0, "i8"), mmsb.InvalidArgument, "name 5"),  # type: ignore[call-overload]
    (lambda: mmsb.monoid("x", 5, 0, "i8"), mmsb.InvalidArgument, "operation 5: a function"),  # type: ignore[call-overload]
    (lambda: mmsb.monoid("x", raises, 0, "i8"), mmsb.InvalidArgument, "raised ZeroDivisionError: no"),
    (lambda: mmsb.monoid("x", counts(), 0, "i8"), mmsb.InvalidArgument, "differently each time"),
    (lambda: mmsb.monoid("x", writes, 0, "i8"), mmsb.InvalidArgument, "read-only"),
    (
        lambda: mmsb.monoid("x", np.true_divide, 0, "i8"),
        mmsb.DtypeError,
        "made float64 of two arrays of int64",
    ),
    (lambda: mmsb.monoid("x", lambda a, b: 3, 0, "i8"), mmsb.ShapeError, "scalar=True"),
    (lambda: mmsb.monoid("x", np.add, 0.5, "i8"), mmsb.ValueRangeError, "0.5 does not fit int64"),
    (lambda: mmsb.monoid("x", np.add, 300, "u1"), mmsb.ValueRangeError, "300 does not fit uint8"),
    (lambda: mmsb.monoid("x", np.add, "zero", "i8"), mmsb.InvalidArgument, "'zero' is no value of int64"),
    (lambda: mmsb.monoid("x", np.add, [0, 0], "i8"), mmsb.ShapeError, r"\(2,\)"),
    (lambda: mmsb.monoid("x", np.add, 0, "U3"), mmsb.DtypeError, "U3"),
    (lambda: mmsb.monoid("x", np.add, 0, "nonsense"), mmsb.DtypeError, "nonsense"),
    (lambda: mmsb.monoid("x", np.add, 0, "c16"), mmsb.DtypeError, "c16"),
    (
        lambda: mmsb.monoid("x", np.add, 0, "i8", claims="tidy"),
        mmsb.InvalidArgument,
        "'tidy' cannot be claimed",
    ),
    (
        lambda: mmsb.monoid("x", np.add, 0, "i8", claims="invertible"),
        mmsb.InvalidArgument,
        "'invertible' cannot be claimed",
    ),
    (
        lambda: mmsb.monoid("x", np.add, 0, "i8", claims="absorptive"),
        mmsb.InvalidArgument,
        "exact, idempotent, selective, total order",
    ),
    (lambda: mmsb.monoid("x", np.add, 0, "i8", domain=3), mmsb.InvalidArgument, "domain 3"),  # type: ignore[call-overload]
    (lambda: mmsb.monoid("x", np.add, 0, "i8", domain=lambda a: 3), mmsb.InvalidArgument, "domain made"),
    (lambda: mmsb.monoid("x", np.add, 0, "i8", domain=lambda a: a > a), mmsb.InvalidArgument, "samples="),
    (
        lambda: mmsb.monoid("x", np.add, 0, "i8", domain=lambda a: a["nope"]),
        mmsb.InvalidArgument,
        "domain raised IndexError",
    ),
]


@pytest.mark.parametrize(("bad", "error", "words"), BAD)
def test_what_cannot_be_is_refused(bad: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bad()


def test_samples_that_are_handed_in_are_looked_at() -> None:
    """An operation that is wrong for one value in 2^64 only."""
    odd = 0x0123_4567_89AB_CDEF

    def plus(a: Any, b: Any) -> Any:
        return np.where((a == odd) & (b == 0), 7, a + b)

    mmsb.monoid("plus", plus, 0, "i8")
    with pytest.raises(mmsb.BrokenLaw, match=str(odd)):
        mmsb.monoid("plus", plus, 0, "i8", samples=[odd])
