"""Products and closures over semirings of users' own, in whole arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb.algebra.fold import fold, fold_runs
from mmsb.algebra.kinds import Semiring
from mmsb.algebra.laws import same
from mmsb.algebra.operation import Operation
from mmsb.errors import IndexOutOfRange, InvalidArgument, RuleError, ShapeError

_CELLS = 1 << 20
"""Products that are there at one time; how many does not change what comes out."""

_CLOSURE = frozenset({"absorptive", "idempotent"})
"""What a closure rests on."""


def _operations(semiring: Semiring) -> tuple[Operation, Operation]:
    if semiring.operations is None:
        raise InvalidArgument(f"semiring {semiring.name!r} is built in: Rust multiplies by it")
    return semiring.operations


def matmul(semiring: Semiring, left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """A matrix of shape (n, m) times a vector of shape (m,) or a matrix of shape (m, k).

    Each cell is brought together by the tree of `fold`, in the order of the inner axis.
    """
    plus, times = _operations(semiring)
    if left.ndim != 2 or right.ndim not in (1, 2) or left.shape[1] != right.shape[0]:
        raise ShapeError(f"left of shape {left.shape} cannot be multiplied with {right.shape}")
    matrix = (
        right.reshape(len(right), -1) if right.size else right.reshape(len(right), *right.shape[1:] or (1,))
    )
    (rows, inner), width = left.shape, matrix.shape[1]
    out = np.empty((rows, width), semiring.dtype)
    wide = max(1, min(width, _CELLS // max(1, inner)))
    high = max(1, _CELLS // max(1, inner * wide))
    for row in range(0, rows, high):
        for column in range(0, width, wide):
            products = times(left[row : row + high].T[:, :, None], matrix[:, None, column : column + wide])
            out[row : row + high, column : column + wide] = fold(plus, products, semiring.zero)
    return out[:, 0] if right.ndim == 1 else out


def places(what: str, given: NDArray[Any], below: int) -> NDArray[np.intp]:
    """Integers from 0 to below a number."""
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise InvalidArgument(
            f"{what} of {given.dtype} with {given.ndim} axes: integers along one axis are wanted"
        )
    wrong = np.flatnonzero((given < 0) | (given >= below))
    if wrong.size:
        raise IndexOutOfRange(f"{what} {wrong[0]} is {given[wrong[0]]}, which is not from 0 to below {below}")
    return given.astype(np.intp)


def starts_of(given: NDArray[Any], entries: int) -> NDArray[np.intp]:
    """Where rows of a sparse matrix begin, checked."""
    starts = places("start of row", given, entries + 1)
    if not starts.size or starts[0] != 0 or starts[-1] != entries:
        shown = f"from {starts[0]} to {starts[-1]}" if starts.size else "of no rows"
        raise ShapeError(f"starts {shown}, where there are {entries} entries: from 0 to {entries} is wanted")
    falls = np.flatnonzero(np.diff(starts) < 0)
    if falls.size:
        raise ShapeError(f"row {falls[0]} of a sparse matrix ends before it begins")
    return starts


def check_sparse(index: NDArray[Any], values: NDArray[Any], right: NDArray[Any]) -> None:
    """Refuses entries of a sparse matrix that are not alike, and what no matrix can be multiplied with."""
    if not index.shape == values.shape == (len(values),) or right.ndim not in (1, 2):
        shapes = f"{index.shape}, {values.shape} and {right.shape}"
        alike = "one axis each, the first two alike; of the vector there may be two"
        raise ShapeError(f"index, values and vector have shapes {shapes}: {alike}")


def spmv(
    semiring: Semiring,
    starts: NDArray[Any],
    index: NDArray[Any],
    values: NDArray[Any],
    vector: NDArray[Any],
) -> NDArray[Any]:
    """A sparse matrix, by rows, of shape (n, m) times a vector of shape (m,) or a matrix of shape (m, k).

    Each row is brought together by the tree of `fold`, in the order of its entries.
    """
    plus, times = _operations(semiring)
    check_sparse(index, values, vector)
    if vector.ndim == 2:
        out = np.empty((max(len(starts) - 1, 0), vector.shape[1]), semiring.dtype)
        for column in range(vector.shape[1]):
            out[:, column] = spmv(semiring, starts, index, values, vector[:, column])
        return out
    begins = starts_of(starts, len(values))
    products = times(values, vector[places("column of entry", index, len(vector))])
    return fold_runs(plus, products, begins, semiring.zero)


def lacks_for_closure(semiring: Semiring) -> str:
    """What a semiring in which ways need not end lacks for a closure, in words; empty where nothing."""
    lacks = ", ".join(sorted(_CLOSURE - semiring.capabilities))
    return lacks and f"closure needs what the semiring {semiring.name} on {semiring.dtype} is not: {lacks}"


def closure(
    semiring: Semiring,
    edges: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    vertices: int,
    starts: Sequence[int] | None,
) -> NDArray[Any]:
    """The best way from each start to each vertex, made anew by rounds (Bellman, 1958; Ford, 1956).

    In a semiring that absorbs, a way that comes by a vertex twice adds nothing, so that after as many rounds
    as there are vertices nothing changes any more (Mohri, "Semiring Frameworks and Algorithms for
    Shortest-Distance Problems", 2002).

    Returns:
        An array of shape (starts, vertices).

    Raises:
        RuleError: a weight is outside the domain of the semiring, or the rounds do not end.
    """
    plus, times = _operations(semiring)
    source, target, weight = edges
    there = np.flatnonzero((source >= 0) & (target >= 0))
    there = there[np.argsort(target[there], kind="stable")]
    source, target, weight = (column[there] for column in edges)
    source, target = places("source of edge", source, vertices), places("target of edge", target, vertices)
    _within(semiring, weight, there)
    entered, first = np.unique(target, return_index=True)
    begins = np.append(first, len(target))
    which = np.arange(vertices) if starts is None else places("start", np.array(starts, np.int64), vertices)
    best = np.full((vertices, len(which)), semiring.zero, semiring.dtype)
    best[which, np.arange(len(which))] = semiring.one
    wide = max(1, _CELLS // max(1, len(target)))
    for column in range(0, len(which), wide):
        part = best[:, column : column + wide]
        for _ in range(vertices):
            ways = fold_runs(plus, times(part[source], weight[:, None]), begins, semiring.zero)
            better = plus(part[entered], ways)
            if same(better, part[entered]).all():
                break
            part[entered] = better
        else:
            if vertices:
                raise RuleError(
                    f"closure over the semiring {semiring.name} does not end: "
                    f"after {vertices} rounds ways still change"
                )
    return best.T.copy()


def _within(semiring: Semiring, weight: NDArray[Any], rows: NDArray[np.intp]) -> None:
    if semiring.domain is None:
        return
    outside = np.flatnonzero(~np.asarray(semiring.domain(weight), bool))
    if outside.size:
        at = outside[0]
        raise RuleError(
            f"closure: weight {weight[at].item()!r} of row {rows[at]} is outside the domain of the semiring "
            f"{semiring.name}"
        )
