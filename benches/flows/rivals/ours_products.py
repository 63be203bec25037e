"""mmsb: products by a semiring, of arrays by a call, and as pages that are kept while the vector changes."""

from typing import Any

import mmsb
from flows import matrices
from flows.rivals.ours import opened
from flows.targets import CALLED
from flows.workloads import DENSE, FLOOR, FRONTIERS, SEMIRINGS, SIZES, frontier, sparse
from peers.case import OURS, Place, Work, case


def kept(at: Place, semiring: str, rows: int) -> tuple[mmsb.Page, mmsb.Page]:
    """The vector and the product of a sparse matrix."""
    bus = opened(at)
    begin, columns, values = matrices.sparse(rows)
    starts = bus.create_page("starts", shape=(rows + 1,), dtype="int64")
    entries = bus.create_page("entries", rows=len(values), columns={"index": "int32", "value": "float64"})
    vector = bus.create_page("vector", shape=(rows,), dtype="float64")
    starts[:] = begin
    entries.assign({"index": columns, "value": values})
    vector[:] = matrices.vectors(rows)[0]
    return vector, bus.derive("product", mmsb.spmv(starts, entries, vector, semiring=semiring))


def times(workload: str, semiring: str, rows: int, parts: int) -> None:
    """Adds a mat-vec: the vector is written, and the product read."""

    @case(workload, OURS, "memory")
    def run(at: Place) -> Work:
        vector, product = kept(at, semiring, rows)
        given = matrices.vectors(rows)
        for new in given:
            vector[:] = new
            matrices.agree(semiring, product.array, matrices.product(semiring, rows, new))
        at.checks.append("products: everybody's are what numpy says, to the bit where nothing is added up")

        def run(steps: range) -> None:
            for step in steps:
                vector[:] = given[step % 2]
                product.array  # noqa: B018

        return Work(run, parts=parts)


def calls(workload: str, semiring: str, rows: int, parts: int) -> None:
    """Adds a mat-vec of arrays: no page, no bus."""

    @case(workload, CALLED, "memory")
    def run(_: Place) -> Work:
        matrix, given = matrices.sparse(rows), matrices.vectors(rows)
        for vector in given:
            found = mmsb.algebra.spmv(*matrix, vector, semiring)
            matrices.agree(semiring, found, matrices.product(semiring, rows, vector))

        def run(steps: range) -> None:
            for step in steps:
                mmsb.algebra.spmv(*matrix, given[step % 2], semiring)

        return Work(run, parts=parts)


for add in (times, calls):
    for size, rows in SIZES.items():
        for semiring in SEMIRINGS:
            add(sparse(semiring, size), semiring, rows, len(matrices.sparse(rows)[2]))
    add(FLOOR, "plus_times", 64, 1)


@case(DENSE, OURS, "memory")
def dense(at: Place) -> Work:
    bus, matrix, given = opened(at), matrices.dense(1024), matrices.vectors(1024)
    page = bus.create_page("matrix", shape=matrix.shape, dtype="float64")
    vector = bus.create_page("vector", shape=(1024,), dtype="float64")
    page[:] = matrix
    vector[:] = given[0]
    product = bus.derive("product", mmsb.matmul(page, vector, semiring="min_plus"))
    matrices.agree("min_plus", product.array, (matrix + given[0]).min(axis=1))

    def run(steps: range) -> None:
        for step in steps:
            vector[:] = given[1 - step % 2]
            product.array  # noqa: B018

    return Work(run)


@case(DENSE, CALLED, "memory")
def dense_call(_: Place) -> Work:
    matrix, given = matrices.dense(1024), matrices.vectors(1024)
    found = mmsb.algebra.matmul(matrix, given[0], "min_plus")
    matrices.agree("min_plus", found, (matrix + given[0]).min(axis=1))

    def run(steps: range) -> None:
        for step in steps:
            mmsb.algebra.matmul(matrix, given[1 - step % 2], "min_plus")

    return Work(run)


def frontiers(many: str, count: int) -> None:
    rows = SIZES["1 M"]

    @case(frontier(many), OURS, "memory")
    def run(at: Place) -> Work:
        vector, product = kept(at, "min_plus", rows)
        where: Any = matrices.chosen(count, rows)
        last = [0]

        def write(step: int) -> None:
            vector[where] = matrices.better(count, rows, step)

        def exact() -> None:
            model = matrices.vectors(rows)[0].copy()
            model[where] = matrices.better(count, rows, last[0])
            matrices.agree("min_plus", product.array, matrices.product("min_plus", rows, model))

        def run(steps: range) -> None:
            for step in steps:
                write(step)
            last[0] = steps[-1]

        at.after.callback(exact)
        at.checks.append("frontiers: after all changes everybody's product is what numpy says, to the bit")
        return Work(run)


for many, count in FRONTIERS.items():
    frontiers(many, count)
