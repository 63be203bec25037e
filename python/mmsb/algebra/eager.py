"""What monoids and semirings do with arrays at once: folds, products, masked writes."""

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmsb._core import _fold, _product, _product_csr, _product_quick, _write
from mmsb.algebra import product
from mmsb.algebra.fold import fold
from mmsb.algebra.kinds import AnyMonoid, AnySemiring, Monoid, monoid_on, semiring_on
from mmsb.algebra.operation import Operation, cell_dtype
from mmsb.errors import DtypeError, IndexOutOfRange, InvalidArgument, ShapeError
from mmsb.given import integer

_PLAIN = frozenset(
    np.dtype(kind)
    for kind in ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "float16", "float32", "float64")
)
"""Types of cells as the machine has them."""
_STARTS = frozenset((np.dtype(np.int64), np.dtype(np.uint64)))
_COLUMNS = frozenset((np.dtype(np.int32), np.dtype(np.uint32)))
"""Types of integers that a product takes as they are."""
_BOTH = (False, False, False, True)
"""The options of a write that brings a target and a result together everywhere."""


def array_of(what: str, given: Any, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """An array of cells that lie side by side, of a dtype where one is wanted."""
    if type(given) is np.ndarray and given.flags.c_contiguous and given.flags.aligned:
        fits = given.dtype in _PLAIN if dtype is None else given.dtype == dtype
        if fits:
            return given
    found = np.asarray(given)
    kind = cell_dtype(what, found.dtype)
    if dtype is not None and kind != dtype:
        raise DtypeError(f"{what} is of {found.dtype} where {dtype} is wanted")
    return np.require(found, kind, ["C", "A"])


def matmul(left: ArrayLike, right: ArrayLike, semiring: AnySemiring = "plus_times") -> NDArray[Any]:
    """A matrix times a vector or a matrix, over a semiring, of arrays.

    Args:
        left: an array of shape (n, m).
        right: one of shape (m,) or (m, k), of the same dtype.
        semiring: a built-in one by name, or what `mmsb.semiring` makes.

    Returns:
        An array of shape (n,) or (n, k), with the bits that the rule `mmsb.matmul` makes.

    Raises:
        DtypeError: both differ, or the semiring is not on their dtype.
        ShapeError: they do not fit together.
    """
    one = array_of("left", left)
    other = array_of("right", right, one.dtype)
    by = semiring_on(semiring, one.dtype)
    if by.is_builtin:
        return _product(by.name, one, other)
    return product.matmul(by, one, other)


def spmv(
    starts: ArrayLike,
    index: ArrayLike,
    values: ArrayLike,
    vector: ArrayLike,
    semiring: AnySemiring = "plus_times",
) -> NDArray[Any]:
    """A sparse matrix, by rows (CSR), times a vector or a dense matrix, over a semiring, of arrays.

    Args:
        starts: where each row begins among the entries, and at last where they end: shape (n + 1,), integers.
        index: the column of each entry, integers.
        values: the value of each entry.
        vector: an array of shape (m,) or (m, k), of the dtype of the values.
        semiring: as of `matmul`.

    Returns:
        An array of shape (n,) or (n, k), with the bits that the rule `mmsb.spmv` makes.

    Raises:
        DtypeError, ShapeError: as of `matmul`.
        IndexOutOfRange: an entry is in a column that the vector has not.
    """
    quick = _product_quick(semiring, starts, index, values, vector)
    if quick is not None:
        return quick
    cells = array_of("values", values)
    other = array_of("vector", vector, cells.dtype)
    by = semiring_on(semiring, cells.dtype)
    begins, columns = np.asarray(starts), np.asarray(index)
    if not by.is_builtin:
        return product.spmv(by, begins, columns, cells, other)
    product.check_sparse(columns, cells, other)
    if begins.ndim != 1 or begins.dtype not in _STARTS:
        begins = product.starts_of(begins, len(cells)).astype(np.uint64)
    # Where so many columns are there, a negative one that is taken as it lies could be one of them.
    if columns.dtype not in _COLUMNS or len(other) > 1 << 31:
        columns = product.places("column of entry", columns, min(len(other), 1 << 32)).astype(np.uint32)
    try:
        return _product_csr(
            by.name, np.ascontiguousarray(begins), np.ascontiguousarray(columns), cells, other
        )
    except (IndexOutOfRange, ShapeError):
        # These say which number is wrong.
        product.starts_of(begins, len(cells))
        product.places("column of entry", columns, len(other))
        raise


def reduce(values: ArrayLike, monoid: AnyMonoid = "sum", axis: SupportsIndex | None = None) -> Any:
    """Cells brought together by a monoid, always by the same tree with a fan-in of 16.

    Args:
        values: an array.
        monoid: a built-in one by name, or what `mmsb.monoid` makes.
        axis: along which; without one all cells, in the order of the last axis first.

    Returns:
        A scalar, or an array without that axis; the identity where there are no cells.
    """
    cells = array_of("values", values)
    by = monoid_on(monoid, cells.dtype)
    if axis is None:
        cells = cells.reshape(-1)
    at = 0 if axis is None else integer("reduce: axis", axis)
    if not -cells.ndim <= at < cells.ndim:
        raise ShapeError(f"reduce: axis {at} of {cells.ndim} axes")
    if by.plus is not None:
        return fold(by.plus, np.moveaxis(cells, at, 0), by.identity)[()]
    rows = np.moveaxis(cells, at, -1)
    flat = np.ascontiguousarray(
        rows.reshape(-1, rows.shape[-1]) if rows.size else np.empty((0, 0), cells.dtype)
    )
    if not rows.size:
        return np.full(rows.shape[:-1], by.identity, cells.dtype)[()]
    return _fold(by.name, flat).reshape(rows.shape[:-1])[()]


def plus_of(monoid: Monoid) -> Operation:
    """The operation of a monoid, cell by cell, also of one that is built in."""

    def plus(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        one, other = (np.require(each, None, ["C", "A"]) for each in (a, b))
        return _write(monoid.name, one, other, None, _BOTH)

    return monoid.plus or Operation(plus, monoid.dtype, scalar=False)


def write(
    target: ArrayLike,
    result: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    accumulate: AnyMonoid | None = None,
    replace: bool = False,
    complement: bool = False,
    structure: bool = False,
    empty: AnyMonoid | None = None,
) -> NDArray[Any]:
    """A target with a result written where a mask lets it, as GraphBLAS's `C<M, replace> accum= T` has it.

    First the result is accumulated: `z = target accumulate result`, or `z = result`. Where the mask is true,
    turned round by `complement`, cells become those of `z`; elsewhere they stay, or with `replace` become
    empty (GraphBLAS C API 2.1, section 2.3). A page: `page[...] = mmsb.algebra.write(page.array, ...)`.

    Args:
        target: an array, which is not changed.
        result: one of its shape and dtype.
        mask: truth values of its shape; without one all are true.
        accumulate: a monoid, by name or from `mmsb.monoid`.
        replace: cells outside the mask become empty.
        complement: the mask is turned round.
        structure: the mask's structure counts and not its values: a dense one is true everywhere.
        empty: the monoid whose identity is an empty cell; by default the one that accumulates, else "sum".

    Returns:
        A new array.

    Raises:
        ShapeError, DtypeError: result or mask are not as they must be, or a monoid is not on the dtype.
        InvalidArgument: the identities of `accumulate` and `empty` are not one.
    """
    old = array_of("target", target)
    new = array_of("result", result, old.dtype)
    truths = None if mask is None else array_of("mask", mask, np.dtype(bool))
    for what, given in (("result", new), ("mask", truths)):
        if given is not None and given.shape != old.shape:
            raise ShapeError(f"write: {what} has shape {given.shape} and the target {old.shape}")
    by = None if accumulate is None else monoid_on(accumulate, old.dtype)
    zero = by if empty is None and by is not None else monoid_on(empty or "sum", old.dtype)
    if by is not None and by is not zero and by.identity.tobytes() != zero.identity.tobytes():
        raise InvalidArgument(
            f"write: empty cells of {zero.name!r} are {zero.identity.item()!r}, and {by.name!r} has "
            f"{by.identity.item()!r}"
        )
    bringing = by or zero
    options = (bool(structure), bool(complement), bool(replace), by is not None)
    if bringing.is_builtin:
        return _write(bringing.name, old, new, truths, options)
    return _written(bringing, old, new, truths, options)


def _written(
    by: Monoid,
    old: NDArray[Any],
    new: NDArray[Any],
    truths: NDArray[Any] | None,
    options: tuple[bool, bool, bool, bool],
) -> NDArray[Any]:
    """As the core does it, by a monoid of users' own."""
    structure, complement, replace, accumulate = options
    made = by(old, new) if accumulate else new
    inside = np.ones(old.shape, bool) if truths is None or structure else truths
    return np.where(inside != complement, made, by.identity if replace else old)
