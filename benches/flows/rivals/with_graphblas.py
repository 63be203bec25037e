"""python-graphblas, over SuiteSparse: with its own threads, and with one as mmsb."""

from typing import Any

import graphblas as gb

from flows import matrices
from flows.targets import GRAPHBLAS, ONE_THREAD
from flows.workloads import DENSE, FLOOR, FRONTIERS, SEMIRINGS, SIZES, frontier, sparse
from peers.case import Place, Work, case


def threads(at: Place, who: str) -> None:
    """As many as it takes by itself, or one."""
    before = gb.ss.config["nthreads"]
    at.after.callback(gb.ss.config.__setitem__, "nthreads", before)
    gb.ss.config["nthreads"] = 1 if who == ONE_THREAD else before


def whole(rows: int) -> Any:
    """The sparse matrix."""
    starts, columns, values = matrices.sparse(rows)
    return gb.Matrix.from_csr(starts, columns, values, ncols=rows)


def given(rows: int) -> list[Any]:
    """The vectors."""
    return [gb.Vector.from_dense(vector) for vector in matrices.vectors(rows)]


def times(workload: str, who: str, semiring: str, rows: int, parts: int) -> None:
    @case(workload, who, "memory")
    def run(at: Place) -> Work:
        threads(at, who)
        matrix, vectors = whole(rows), given(rows)
        by, out = getattr(gb.semiring, semiring), gb.Vector(float, rows)

        def product(vector: Any) -> None:
            out << matrix.mxv(vector, by)
            out.wait()

        for vector, plain in zip(vectors, matrices.vectors(rows), strict=True):
            product(vector)
            matrices.agree(semiring, out.to_dense(), matrices.product(semiring, rows, plain))

        def run(steps: range) -> None:
            for step in steps:
                product(vectors[step % 2])

        return Work(run, parts=parts)


def dense(who: str) -> None:
    @case(DENSE, who, "memory")
    def run(at: Place) -> Work:
        threads(at, who)
        matrix, vectors = gb.Matrix.from_dense(matrices.dense(1024)), given(1024)
        out = gb.Vector(float, 1024)

        def run(steps: range) -> None:
            for step in steps:
                out << matrix.mxv(vectors[1 - step % 2], gb.semiring.min_plus)
                out.wait()

        run(range(1, 2))
        wanted = (matrices.dense(1024) + matrices.vectors(1024)[0]).min(axis=1)
        matrices.agree("min_plus", out.to_dense(), wanted)
        return Work(run)


def frontiers(who: str, many: str, count: int) -> None:
    rows = SIZES["1 M"]

    @case(frontier(many), who, "memory")
    def run(at: Place) -> Work:
        threads(at, who)
        matrix, where, last = whole(rows), matrices.chosen(count, rows), [0]
        # By columns: a sparse vector takes those that it has.
        turned = matrix.T.new()
        kept = matrix.mxv(given(rows)[0], gb.semiring.min_plus).new()

        def exact() -> None:
            model = matrices.vectors(rows)[0].copy()
            model[where] = matrices.better(count, rows, last[0])
            matrices.agree("min_plus", kept.to_dense(), matrices.product("min_plus", rows, model))

        def run(steps: range) -> None:
            for step in steps:
                new = gb.Vector.from_coo(where, matrices.better(count, rows, step), size=rows)
                kept(gb.binary.min) << new.vxm(turned, gb.semiring.min_plus)
                kept.wait()
            last[0] = steps[-1]

        at.after.callback(exact)
        return Work(run)


for who in (GRAPHBLAS, ONE_THREAD):
    for size, rows in SIZES.items():
        for semiring in SEMIRINGS:
            times(sparse(semiring, size), who, semiring, rows, len(matrices.sparse(rows)[2]))
    times(FLOOR, who, "plus_times", 64, 1)
    dense(who)
    for many, count in FRONTIERS.items():
        frontiers(who, many, count)
