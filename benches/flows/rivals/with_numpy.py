"""Plain numpy: everything anew, in an array that nobody else sees and nothing keeps."""

from typing import Any

import numpy as np

from flows import matrices, sums
from flows.workloads import DENSE, FRONTIERS, SIZES, frontier
from peers.case import Place, Work, case

WHO = "numpy"


def anew(_: Place) -> Any:
    array = sums.cells().copy()

    def write(row: int, value: float) -> float:
        array[row] = value
        return float(array.sum())

    return write


sums.reduced(f"{WHO}: array.sum, from nothing", anew)


def counted(_: Place) -> Any:
    keys, numbers = sums.rows()
    return lambda: np.bincount(keys, numbers, sums.KEYS).astype("int64"), lambda: None


def added(_: Place) -> Any:
    keys, numbers = sums.rows()

    def again() -> np.ndarray:
        found = np.zeros(sums.KEYS, "int64")
        np.add.at(found, keys, numbers)
        return found

    return again, lambda: None


sums.accumulated(f"{WHO}: np.bincount", counted)
sums.accumulated(f"{WHO}: np.add.at", added)


@case(DENSE, WHO, "memory")
def dense(_: Place) -> Work:
    matrix, given = matrices.dense(1024), matrices.vectors(1024)
    terms, out = np.empty_like(matrix), np.empty(1024)

    def run(steps: range) -> None:
        for step in steps:
            np.add(matrix, given[1 - step % 2], out=terms)
            np.min(terms, axis=1, out=out)

    run(range(1, 2))
    matrices.agree("min_plus", out, (matrix + given[0]).min(axis=1))
    return Work(run)


def frontiers(many: str, count: int) -> None:
    rows = SIZES["1 M"]

    @case(frontier(many), f"{WHO}: np.minimum.at of the columns", "memory")
    def run(at: Place) -> Work:
        _, columns, values = matrices.sparse(rows)
        order = np.argsort(columns, kind="stable")
        starts = np.searchsorted(columns[order], np.arange(rows + 1))
        to, weights = order // 8, values[order]
        where, last = matrices.chosen(count, rows), [0]
        kept = matrices.product("min_plus", rows, matrices.vectors(rows)[0])

        def run(steps: range) -> None:
            for step in steps:
                new = matrices.better(count, rows, step)
                first, many = starts[where], starts[where + 1] - starts[where]
                repeated = np.repeat(np.arange(count), many)
                within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
                cells = first[repeated] + within
                np.minimum.at(kept, to[cells], weights[cells] + new[repeated])
            last[0] = steps[-1]

        def exact() -> None:
            model = matrices.vectors(rows)[0].copy()
            model[where] = matrices.better(count, rows, last[0])
            matrices.agree("min_plus", kept, matrices.product("min_plus", rows, model))

        at.after.callback(exact)
        return Work(run)


for many, count in FRONTIERS.items():
    frontiers(many, count)
