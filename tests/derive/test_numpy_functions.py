"""Each function of numpy that expressions have, on every type: the type that comes out, and the cells."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mmsb
from mmsb import col
from mmsb.derive.expression import _BINARY, _UNARY

TYPES = "?bhiqBHIQefd"
EXACT = {
    *("negative", "absolute", "fabs", "sign", "invert", "sqrt", "floor", "ceil", "rint", "trunc", "square"),
    *("isnan", "isfinite", "isinf", "logical_not", "positive"),
}
LIBRARY_OF_TWO = {"power", "float_power", "arctan2", "hypot"}
EDGES = [np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -1.0, 2.5, -7.5, 1e3]
MORE = [-59.76, -128.0, -1e4, -1.2e6, -1e8, 1.0, 0.99, 1e-9, -1e-9, 3e4]
WHOLE = [0, 1, 2, 3, 7, 60]


def cells(letter: str) -> Any:
    """Cells of a type, with edges among them."""
    kind = np.dtype(letter)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return np.array((EDGES + MORE) * 2, kind)
    signed = [-value for value in WHOLE] if kind.kind == "i" else WHOLE
    return np.array((WHOLE + signed) * 4)[:40].astype(kind)


def compare(name: str, found: Any, wanted: Any, exact: bool) -> None:
    """Types are the same; cells too, up to the last bits of functions of a library."""
    assert found.dtype == wanted.dtype, (name, found.dtype, wanted.dtype)
    if exact or wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        if wanted.dtype.kind == "f":
            numbers = ~np.isnan(wanted)
            assert (np.signbit(found) == np.signbit(wanted))[numbers].all(), name
    else:
        np.testing.assert_allclose(found, wanted, rtol=8 * np.finfo(wanted.dtype).eps, err_msg=name)


def against(bus: mmsb.Bus, name: str, work: Any, inputs: list[Any], exact: bool) -> None:
    """What an expression comes to is what numpy comes to, or both refuse the types."""
    pages = [bus.create_page(f"{name} {number}", data=data) for number, data in enumerate(inputs)]
    with np.errstate(all="ignore"):
        try:
            wanted = work(*inputs)
        except TypeError:
            if work is not np.positive:  # of bool refused by numpy, and nothing of ours
                with pytest.raises(mmsb.RuleError):
                    bus.derive(name, work(*map(col, pages)))
            return
    made = bus.derive(name, work(*map(col, pages)))
    compare(name, made.array, wanted, exact)


@pytest.mark.parametrize("name", [*_UNARY, "positive", "logical_not"])
def test_functions_of_one_value(name: str) -> None:
    """On every type."""
    with mmsb.open() as bus:
        for letter in TYPES:
            against(bus, f"{name} of {letter}", getattr(np, name), [cells(letter)], name in EXACT)


@pytest.mark.parametrize("name", [*_BINARY, "fmin", "fmax", "float_power", "logical_xor"])
def test_functions_of_two_values(name: str) -> None:
    """On every pair of types; whole powers are not negative."""
    order = np.random.default_rng(1).permutation(40)
    with mmsb.open() as bus:
        for left in TYPES:
            for right in TYPES:
                one, two = cells(left), cells(right)[order]
                if name in ("power", "left_shift", "right_shift"):
                    two = np.abs(two)
                if name in ("minimum", "maximum", "fmin", "fmax"):
                    # Zeros of two signs are told apart here, and not by numpy.
                    one, two = one + one.dtype.type(0), two + two.dtype.type(0)
                against(
                    bus,
                    f"{name} of {left} and {right}",
                    getattr(np, name),
                    [one, two],
                    name not in LIBRARY_OF_TWO,
                )


@pytest.mark.parametrize("name", ["fmin", "fmax"])
@pytest.mark.parametrize("letter", "Qfd")
def test_a_number_may_be_beside_a_column(name: str, letter: str) -> None:
    """Python's, of any size, NaN too."""
    with mmsb.open() as bus:
        page = bus.create_page("page", data=cells(letter))
        for number in [2**63, 3, float("nan"), -0.5, np.float32("nan")]:
            given = getattr(np, name)(page.array, number), getattr(np, name)(number, page.array)
            made = getattr(np, name)(col(page), number), getattr(np, name)(number, col(page))
            for at, (found, wanted) in enumerate(zip(made, given, strict=True)):
                compare(name, bus.derive(f"{number} {at}", found).array, wanted, exact=True)


def test_what_is_the_same_for_all_cells_is_made_once() -> None:
    """A comparison with a number that the type has not, and what a type is never: numpy's answers."""
    with mmsb.open() as bus:
        page = bus.create_page("page", data=np.arange(5, dtype="u1"))
        below = bus.derive("below", col(page) < 300)
        both = bus.derive("both", {"finite": np.isfinite(col(page)), "twice": col(page) * 2})
        large = bus.derive("large", col(page) > -1, when="lazy")
        page[1] = 9
        assert below.array.all()
        assert both["finite"].array.all()
        assert large.array.all()
        assert [(step.page, step.rows_out) for step in bus.trace()] == [("below", 0), ("both", 1)]
        same = bus.derive("same", mmsb.where(col(page) < 300, col(page), 0))
        assert same.array[1] == 9


def test_what_is_not_there_is_refused_by_name() -> None:
    """A function that no expression has, a reduction, an argument that changes a call."""
    with mmsb.open() as bus:
        cells: Any = col(bus.create_page("page", shape=(3,), dtype="f8"))
        refused: list[tuple[Callable[[], object], str]] = [
            (lambda: np.spacing(cells), "np.spacing is not there"),
            (lambda: np.add.reduce(cells), "np.add of an expression"),
            (lambda: np.sin(cells, where=True), "np.sin of an expression"),
            (lambda: np.round(cells), "np.round is not there"),
        ]
        for work, said in refused:
            with pytest.raises(mmsb.InvalidArgument, match=said):
                work()
