"""Runs the cases: all parties of a workload one after the other, and that in several rounds."""

import gc
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from peers.case import CASES, Case, Place, Scale, Work
from peers.figure import Figure
from peers.workloads import ORDER, WORKLOADS


def sample(work: Work, scale: Scale, kept_up: bool) -> list[float]:
    """Seconds for one, sample by sample. What comes before the samples is the warm-up."""

    def clock(n: int) -> float:
        if work.prepare is not None:
            work.prepare(n)
        start = time.perf_counter()
        work.run(n)
        return time.perf_counter() - start

    seconds = scale.kept_up if kept_up else scale.seconds
    n = work.count or 1
    took = clock(n)
    if work.count is None:
        while took < seconds / 4:
            n *= 2
            # Twice, for once may have been held up by somebody else.
            took = min(clock(n), clock(n))
        n = max(1, round(n * seconds / took))
    samples = 1 if kept_up else scale.samples if took < 0.05 else scale.few
    return [clock(n) / n / work.parts for _ in range(samples)]


def measure(case: Case, scale: Scale, folder: Path) -> tuple[Figure, list[str]]:
    """One case, in an empty folder of its own."""
    own = Path(tempfile.mkdtemp(dir=folder))
    at = Place(own, case.level, scale)
    gc.collect()
    gc.disable()
    try:
        with at.after:
            made = case.make(at)
            kept_up = WORKLOADS[case.workload].kept_up
            samples = sample(made, scale, kept_up) if isinstance(made, Work) else made
            del made
    finally:
        gc.enable()
        shutil.rmtree(own, ignore_errors=True)
    return Figure(case.workload, case.who, case.level, "Python", tuple(samples)), at.checks


def run(
    scale: Scale, folder: Path, wanted: Callable[[Case], bool], checks: list[str], failures: list[str]
) -> Iterator[Figure]:
    """Every wanted case, round by round. One that fails is told, and the others go on."""
    cases = sorted(filter(wanted, CASES), key=lambda case: ORDER[case.workload])
    for number in range(scale.rounds):
        for case in cases:
            if number and WORKLOADS[case.workload].once:
                continue
            name = f"{case.workload} / {case.who} / {case.level or '-'}"
            start = time.perf_counter()
            try:
                figure, checked = measure(case, scale, folder)
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error}")
                traceback.print_exc()
                continue
            checks += [check for check in checked if check not in checks]
            took = time.perf_counter() - start
            print(f"round {number + 1}  {name:60} {figure.median:12.4g}  ({took:.1f} s)", file=sys.stderr)
            yield figure
