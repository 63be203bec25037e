"""Traces as the trace-event format, which ui.perfetto.dev and chrome://tracing show.

The format: "Trace Event Format" by Nat Duca and Dan Sinclair, Google, 2016
(docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU), its JSON object form with complete
("X"), metadata ("M") and flow ("s", "f") events.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsb._core import Bus as CoreBus
from mmsb._core import _rules, _traces
from mmsb.derive.explain import Names, Step, step
from mmsb.given import perhaps_count, place

# Nanoseconds between two epochs that are laid side by side.
APART = 1000
# The process that a viewer is told of: one branch.
PROCESS = 1


@dataclass(frozen=True)
class _Run:
    """What ran in an epoch, and when its commit was appended to the log."""

    epoch: int
    steps: list[Step]
    time_ns: int | None
    about: dict[str, Any]

    @property
    def ns(self) -> int:
        """How long all of it took."""
        return sum(step.ns for step in self.steps)


def perfetto(
    bus: CoreBus, path: str | os.PathLike[str], since: Any = None, until: Any = None, by_time: bool = False
) -> int:
    """Writes what ran in epochs to a file; how many epochs that were."""
    where = place("path", path)
    runs = _runs(bus, perhaps_count("since", since), perhaps_count("until", until))
    made = {
        "traceEvents": [*_tracks(bus, runs), *_events(runs, _ruled(bus), bool(by_time))],
        "displayTimeUnit": "ns",
        "otherData": {"bus": bus.place, "branch": bus.branch_name},
    }
    Path(where).write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    return len(runs)


def _runs(bus: CoreBus, since: int | None, until: int | None) -> list[_Run]:
    names, told = Names(bus), _traces(bus, since, until)
    if not told:
        return []
    # Of history that is gone nothing is known but what ran.
    entries = {entry.epoch: entry for entry in bus._log(None, None, told[0][0], told[-1][0], None)}
    runs = []
    for epoch, steps in told:
        entry = entries.get(epoch)
        about: dict[str, Any] = {"epoch": epoch, "steps": len(steps)}
        if entry is not None:
            about.update(time=entry.time.isoformat(), source=entry.source, intent=entry.intent)
        time_ns = None if entry is None else entry.time_ns
        runs.append(_Run(epoch, [step(names, one) for one in steps], time_ns, about))
    return runs


def _ruled(bus: CoreBus) -> dict[str, str]:
    """The rules of pages, as they are now."""
    names = Names(bus)
    return {names(page): called for page, _, (_, called, _, _) in _rules(bus)}


def _tracks(bus: CoreBus, runs: list[_Run]) -> Iterator[dict[str, Any]]:
    """What the tracks are called: one of epochs, and one a level below it."""
    levels = sorted({step.level for run in runs for step in run.steps})
    named = [(0, "epochs"), *((level, f"level {level}") for level in levels)]
    yield _meta("process_name", 0, name=f"mmsb {bus.place}, branch {bus.branch_name}")
    for track, name in named:
        yield _meta("thread_name", track, name=name)
        yield _meta("thread_sort_index", track, sort_index=track)


def _meta(what: str, track: int, **args: Any) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": PROCESS, "tid": track, "args": args}


def _slice(name: str, kind: str, track: int, start: int, ns: int, args: dict[str, Any]) -> dict[str, Any]:
    at = {"ph": "X", "pid": PROCESS, "tid": track, "ts": _micro(start), "dur": _micro(ns)}
    return {"name": name, "cat": kind, **at, "args": args}


def _micro(ns: int) -> float:
    """Nanoseconds in the format's unit."""
    return round(ns / 1000, 3)


def _events(runs: list[_Run], rules: dict[str, str], by_time: bool) -> Iterator[dict[str, Any]]:
    zero = next((run.time_ns - run.ns for run in runs if run.time_ns is not None), 0)
    end, arrow = 0, 0
    for run in runs:
        start = end
        if by_time and run.time_ns is not None:
            # A clock that was set back must not lay epochs over one another.
            start = max(end, run.time_ns - run.ns - zero)
        yield _slice(f"epoch {run.epoch}", "epoch", 0, start, run.ns, run.about)
        begun: dict[str, tuple[int, int]] = {}
        at = start
        for one in run.steps:
            args = {
                "cause": one.cause,
                "rule": rules.get(one.page, ""),
                "outcome": one.outcome,
                "rows_in": one.rows_in,
                "rows_out": one.rows_out,
                "level": one.level,
                "epoch": run.epoch,
            }
            yield _slice(one.page, one.outcome, one.level, at, one.ns, args)
            cause = begun.get(one.cause)
            if cause is not None and one.cause != one.page:
                arrow += 1
                yield from _arrow(arrow, cause, (one.level, at))
            begun[one.page] = (one.level, at)
            at += one.ns
        end = start + run.ns + APART


def _arrow(number: int, cause: tuple[int, int], effect: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """An arrow from the slice of a cause to that of what it caused."""
    for phase, (track, at) in (("s", cause), ("f", effect)):
        event = {"ph": phase, "bp": "e", "id": number, "name": "cause", "cat": "cause", "pid": PROCESS}
        yield {**event, "tid": track, "ts": _micro(at)}
