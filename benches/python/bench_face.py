"""What the operations cost from Python, beside what Python, numpy, SQLite or the machine take for the same.

Run with `make bench`. A case is named by its operation, its workload and who does it: `mmsb`, or what it is
measured against in the same run: `limit: ...`, the least that such work takes here, or `rival: ...`, another
way to do it.
"""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import reading  # noqa: F401 - importing it adds its cases
import writing  # noqa: F401
from cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.operation}: {case.workload}: {case.who}")
def test_cost(benchmark: BenchmarkFixture, tmp_path: Path, case: Case) -> None:
    benchmark.group = case.operation
    benchmark.extra_info = {"workload": case.workload, "who": case.who}
    work = case.make(tmp_path)
    if work.rounds:
        benchmark.pedantic(work.step, setup=work.prepare, rounds=work.rounds)  # type: ignore[no-untyped-call]
    else:
        benchmark(work.step)
