"""scipy: products of sparse matrices, which it has for plus_times."""

import scipy.sparse

from flows import matrices
from flows.workloads import FLOOR, SIZES, sparse
from peers.case import Place, Work, case


def times(workload: str, rows: int, parts: int) -> None:
    @case(workload, "scipy", "memory")
    def run(_: Place) -> Work:
        starts, columns, values = matrices.sparse(rows)
        matrix = scipy.sparse.csr_array((values, columns, starts), shape=(rows, rows))
        given = matrices.vectors(rows)
        for vector in given:
            matrices.agree("plus_times", matrix @ vector, matrices.product("plus_times", rows, vector))

        def run(steps: range) -> None:
            for step in steps:
                matrix @ given[step % 2]

        return Work(run, parts=parts)


for size, rows in SIZES.items():
    times(sparse("plus_times", size), rows, len(matrices.sparse(rows)[2]))
times(FLOOR, 64, 1)
