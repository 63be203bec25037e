"""Runs the cases: all parties of a workload take turns, and that in several rounds."""

import gc
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from peers.case import CASES, LEVELS, Case, Place, Scale, Work
from peers.figure import Figure
from peers.subject import Subject

TURNS = 3


def sample(work: Work, scale: Scale, kept_up: bool) -> list[float]:
    """Seconds for one, sample by sample. What comes before the samples is the warm-up."""
    done = 0

    def clock(n: int) -> float:
        nonlocal done
        if work.prepare is not None:
            work.prepare(n)
        steps = range(done, done + n)
        done += n
        start = time.perf_counter()
        work.run(steps)
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


def measure(case: Case, kept_up: bool, scale: Scale, folder: Path) -> tuple[list[Figure], list[str]]:
    """One case, in an empty folder of its own. Mostly it is one figure."""
    own = Path(tempfile.mkdtemp(dir=folder))
    at = Place(own, case.level, scale)
    gc.collect()
    gc.disable()
    try:
        with at.after:
            made = case.make(at)
            samples = sample(made, scale, kept_up) if isinstance(made, Work) else made
            del made
    finally:
        gc.enable()
        shutil.rmtree(own, ignore_errors=True)
    found = samples if isinstance(samples, dict) else {case.workload: samples}
    figures = [Figure(key, case.who, case.level, "Python", tuple(each)) for key, each in found.items()]
    return figures, at.checks


def turns(subject: Subject, cases: Iterable[Case], number: int, scale: Scale) -> Iterator[tuple[Case, Scale]]:
    """The cases of a round, those that compare side by side; another one goes first in each round.

    What a wait for the disk costs changes from one second to the next: there everybody gets several short
    turns instead of a long one.
    """
    levels = list(LEVELS)
    ordered = sorted(cases, key=lambda case: (subject.order[case.workload], levels.index(case.level)))
    for (key, level), group in groupby(ordered, key=lambda case: (case.workload, case.level)):
        workload = subject.by_key[key]
        if number and workload.once:
            continue
        mine = list(group)
        first = number % len(mine)
        waits = workload.section == subject.waits and level == "disk"
        much = (
            replace(scale, samples=-(-scale.samples // TURNS), few=-(-scale.few // TURNS)) if waits else scale
        )
        for _ in range(TURNS if waits else 1):
            for case in mine[first:] + mine[:first]:
                yield case, much


def run(
    subject: Subject,
    scale: Scale,
    folder: Path,
    wanted: Callable[[Case], bool],
    checks: list[str],
    failures: list[str],
) -> Iterator[Figure]:
    """Every wanted case, round by round. One that fails is told, and the others go on."""
    for number in range(scale.rounds):
        for case, much in turns(subject, filter(wanted, CASES), number, scale):
            name = f"{case.workload} / {case.who} / {case.level or '-'}"
            start = time.perf_counter()
            try:
                figures, checked = measure(case, subject.by_key[case.workload].kept_up, much, folder)
            except Exception as error:
                failures.append(f"{name}: {type(error).__name__}: {error}")
                traceback.print_exc()
                continue
            checks += [check for check in checked if check not in checks]
            took = time.perf_counter() - start
            medians = " ".join(f"{figure.median:12.4g}" for figure in figures)
            print(f"round {number + 1}  {name:60} {medians}  ({took:.1f} s)", file=sys.stderr)
            yield from figures
