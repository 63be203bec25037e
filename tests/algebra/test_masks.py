"""Masked writes: every row of GraphBLAS's table against a plain model, by both kinds of monoid."""

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import mmsb
from mmsb.algebra import write

ROWS = list(itertools.product([False, True], repeat=5))
PLUS = mmsb.monoid("mine", np.add, 0, "i8")


def model(
    target: list[Any], result: list[Any], mask: list[bool] | None, row: tuple[bool, ...], plus: Any, zero: Any
) -> list[Any]:
    """GraphBLAS C API 2.1, section 2.3, cell by cell."""
    _, structure, complement, replace, accumulate = row
    out = []
    for at, (old, new) in enumerate(zip(target, result, strict=True)):
        made = plus(old, new) if accumulate else new
        inside = True if mask is None or structure else mask[at]
        if complement:
            inside = not inside
        if inside:
            out.append(made)
        elif replace:
            out.append(zero)
        else:
            out.append(old)
    return out


@pytest.mark.parametrize("monoid", ["sum", PLUS], ids=["sum", "mine"])
@given(data=st.data())
def test_every_row_of_the_table(monoid: Any, data: st.DataObject) -> None:
    shape = data.draw(arrays.array_shapes(max_dims=2, max_side=5))
    cells = arrays.arrays("i8", shape, elements=st.integers(-9, 9))
    target, result, mask = data.draw(cells), data.draw(cells), data.draw(arrays.arrays(bool, shape))
    before = target.copy()
    for row in ROWS:
        masked, structure, complement, replace, accumulate = row
        made = write(
            target,
            result,
            mask=mask if masked else None,
            accumulate=monoid if accumulate else None,
            replace=replace,
            complement=complement,
            structure=structure,
            empty=monoid,
        )
        flat = mask.reshape(-1).tolist() if masked else None
        old, new = target.reshape(-1).tolist(), result.reshape(-1).tolist()
        assert made.shape == shape
        assert made.dtype == target.dtype
        assert made.reshape(-1).tolist() == model(old, new, flat, row, operator.add, 0)
        assert np.array_equal(target, before)
        made[...] = 1


@pytest.mark.parametrize("row", ROWS)
def test_minima_have_another_zero(row: tuple[bool, ...]) -> None:
    _, structure, complement, replace, accumulate = row
    target, result = np.array([4, -2, 7, 0], "i4"), np.array([1, 5, 9, -3], "i4")
    mask = np.array([True, False, True, False]) if row[0] else None
    made = write(
        target,
        result,
        mask=mask,
        accumulate="min" if accumulate else None,
        replace=replace,
        complement=complement,
        structure=structure,
        empty="min",
    )
    far = np.iinfo("i4").max
    flat = None if mask is None else mask.tolist()
    assert made.tolist() == model(target.tolist(), result.tolist(), flat, row, min, far)


def test_a_page_is_written_so() -> None:
    with mmsb.open() as bus:
        page = bus.create_page("page", data=np.arange(6.0).reshape(2, 3))
        mask = page.array > 2
        page[...] = write(page.array, np.ones((2, 3)), mask=mask, accumulate="sum", replace=True)
        assert page.array.tolist() == [[0, 0, 0], [4, 5, 6]]
        assert write(page, page, mask=mask, complement=True, replace=True).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_what_cannot_be_written_is_refused() -> None:
    cells = np.zeros(3)
    with pytest.raises(mmsb.ShapeError, match=r"mask has shape \(2,\) and the target \(3,\)"):
        write(cells, cells, mask=[True, False])
    with pytest.raises(mmsb.ShapeError, match=r"result has shape \(4,\)"):
        write(cells, np.zeros(4))
    with pytest.raises(mmsb.DtypeError, match="result is of int64 where float64"):
        write(cells, np.zeros(3, "i8"))
    with pytest.raises(mmsb.DtypeError, match="mask is of int64 where bool"):
        write(cells, cells, mask=[1, 0, 1])
    with pytest.raises(mmsb.DtypeError, match="'xor' is not for cells of"):
        write(cells, cells, accumulate="xor")
    with pytest.raises(mmsb.DtypeError, match="monoid 'mine' is on cells of int64, not of float64"):
        write(cells, cells, accumulate=PLUS)
    with pytest.raises(mmsb.InvalidArgument, match=r"'min' are inf, and 'sum' has 0\.0"):
        write(cells, cells, accumulate="sum", empty="min")
    with pytest.raises(mmsb.InvalidArgument, match="no monoid 'nope'"):
        write(cells, cells, accumulate="nope")
    with pytest.raises(mmsb.InvalidArgument, match="monoid 5"):
        write(cells, cells, accumulate=5)  # type: ignore[arg-type]
