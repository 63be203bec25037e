"""One row written, the sum of all rows, and whoever is told of it: what each write takes to its end."""

import time
from collections.abc import Callable

import numpy as np

from flows.workloads import P50, P99
from peers.case import Place, case

ROWS, WRITES = 1000, 1000
Step = Callable[[int, int], int]
"""Writes a row, and gives the sum that the sink was told."""


def sunk(who: str, make: Callable[[Place], Step]) -> None:
    """Adds the cases of a party."""
    for workload, percent in ((P50, 50), (P99, 99)):

        @case(workload, who, "memory")
        def run(at: Place, percent: int = percent) -> list[float]:
            step, model, samples = make(at), np.zeros(ROWS, "int64"), []
            number = 0
            for _ in range(at.scale.samples + 1):
                took = []
                for _ in range(WRITES):
                    number += 1
                    row, value = number * 7 % ROWS, number
                    start = time.perf_counter()
                    found = step(row, value)
                    took.append(time.perf_counter() - start)
                    model[row] = value
                if found != model.sum():
                    raise AssertionError(f"the sink was told {found}, where the sum is {model.sum()}")
                samples.append(float(np.percentile(took, percent)))
            at.checks.append("write, reduce, sink: what the sink was told is the sum of all rows")
            return samples[1:]
