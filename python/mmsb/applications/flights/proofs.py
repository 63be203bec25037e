"""What the demo proves, each proof with its figure: what is checked, against what, and what came out."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmsb.applications.flights.events import planned
from mmsb.applications.flights.face import Bus, open_bus
from mmsb.applications.flights.following import FOLLOWING, SEEN
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.pages import PAGES
from mmsb.applications.flights.source import DAY, minute_of, moment
from mmsb.applications.flights.stream import Stream

NOON: Final = datetime(2013, 7, 4, 12)

NEW_YORK: Final = ("EWR", "JFK", "LGA")


@dataclasses.dataclass(frozen=True)
class Proof:
    """A claim, whether it holds, and the figure that shows it."""

    claim: str
    holds: bool
    figure: str
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


def survived(
    bus: Bus, stream: Stream, oracle: Oracle, acknowledged: int, from_files: tuple[int, str]
) -> Proof:
    """After the kill, nothing acknowledged is missing, and no half minute is there.

    `from_files` is the epoch, and the digest, of what a copy of the writer's files alone was opened to.
    """
    played = stream.played(bus)
    minute = int(stream.minutes[played - 1]) if played else 0
    wrong = oracle.differences(bus, minute)
    return Proof(
        claim="killed with SIGKILL, opened again: every acknowledged minute is there, whole",
        holds=played >= acknowledged and not wrong and from_files == (bus.epoch, bus.digest()),
        figure=f"epoch {bus.epoch:,} survived: {moment(minute):%-d %b %H:%M}, "
        f"{played - acknowledged:,} minutes past the last report",
        details={
            "epoch": bus.epoch,
            "from_files": list(from_files),
            "played": played,
            "acknowledged": acknowledged,
            "minute": minute,
            "wrong": wrong,
        },
    )


def undisturbed(bus: Bus, other: dict[str, Any]) -> Proof:
    """The run that was killed ends in the same state, at the same epoch, as one that was not."""
    digest = bus.digest()
    return Proof(
        claim="the final digest is that of an undisturbed run",
        holds=digest == other["digest"] and bus.epoch == other["epoch"],
        figure=f"{digest[:16]}… at epoch {bus.epoch:,}",
        details={"digest": digest, "undisturbed": other["digest"], "epochs": [bus.epoch, other["epoch"]]},
    )


def replays(path: Path, scratch: Path, digest: str) -> Proof:
    """Opened from its newest checkpoint or, on a copy without any, from the log's first frame: the same."""
    with open_bus(path, mode="r") as bus:
        from_checkpoint = bus.digest()
    copy = scratch / "from-zero.mmsb"
    shutil.copytree(path, copy)
    shutil.rmtree(copy / "ckpt", ignore_errors=True)
    with open_bus(copy, mode="r") as bus:
        from_zero = bus.digest()
        epochs = bus.epoch
    shutil.rmtree(copy)
    return Proof(
        claim="replay from zero and from a checkpoint agree",
        holds=from_zero == from_checkpoint == digest,
        figure=f"{epochs:,} epochs replayed, twice {from_zero[:16]}…",
        details={"from_zero": from_zero, "from_checkpoint": from_checkpoint, "digest": digest},
    )


def past(bus: Bus, stream: Stream, oracle: Oracle, rng: random.Random, count: int = 100) -> list[Proof]:
    """Random past minutes, read back from the bus, equal what numpy computes from the file, bit for bit.

    The pages are told by name, those written and those that follow. All are declared before the first minute,
    so each must have been compared, and found equal, at every minute that is looked at.
    """
    start = stream.start(bus)
    chosen = sorted(rng.sample(range(len(stream)), min(count, len(stream))))
    minutes = [int(stream.minutes[k]) for k in chosen]
    equal: Counter[str] = Counter()
    wrong: dict[int, dict[str, list[str]]] = {}
    for k, minute in zip(chosen, minutes, strict=True):
        compared = oracle.compared(bus.at(start + k + 1), minute)
        equal.update(page for page, columns in compared.items() if not columns)
        if differing := {page: columns for page, columns in compared.items() if columns}:
            wrong[minute] = differing
    state = oracle.state(0)

    def proof(claim: str, names: tuple[str, ...]) -> Proof:
        cells = sum(values.size for page in names for values in state[page].values())
        theirs = {
            minute: [column for page in names for column in differing.get(page, [])]
            for minute, differing in wrong.items()
            if not differing.keys().isdisjoint(names)
        }
        return Proof(
            claim=claim,
            holds=all(equal[page] == len(chosen) for page in names),
            figure=f"{len(chosen) - len(theirs)} of {len(chosen)} minutes, "
            f"{cells:,} cells of {len(names)} pages each",
            details={"minutes": minutes, "equal": {page: equal[page] for page in names}, "wrong": theirs},
        )

    return [
        proof(
            f"{len(chosen)} random past minutes equal plain numpy over the file, bit for bit", (*PAGES, SEEN)
        ),
        proof("so do the pages that follow, at the same minutes: " + ", ".join(FOLLOWING), FOLLOWING),
    ]


def noon(bus: Bus, stream: Stream, oracle: Oracle, rows: int = 12) -> tuple[Proof, list[dict[str, Any]]]:
    """The busiest airports at noon on 4 July 2013 (of a shorter stream: of its middle day)."""
    leaving = np.sort(planned(stream.flights))
    middle = int(leaving[len(leaving) // 2]) // DAY * DAY + DAY // 2
    minute = minute_of(NOON) if leaving[-1] >= minute_of(NOON) else middle
    state = bus.at(stream.start(bus) + stream.number(minute))
    wrong = oracle.differences(state, minute)
    airports = state["airports"].arrays
    busiest = np.argsort(-(airports["departed"] + airports["arrived"]), kind="stable")[:rows]
    table = []
    for row in busiest.tolist():
        known = stream.flights.airports[row]
        entry: dict[str, Any] = {"code": known.code, "name": known.name}
        entry |= {
            name: int(airports[name][row]) for name, dtype in PAGES["airports"].items() if "int" in dtype
        }
        table.append(entry)
    in_air = int(state["carriers"].arrays["airborne"].sum())
    proof = Proof(
        claim=f"the airports at {moment(minute):%H:%M on %-d %B %Y} are what the file says",
        holds=not wrong,
        figure=f"{int(airports['board'].sum()):,} flights on the boards, {in_air:,} in the air",
        details={"minute": minute, "wrong": wrong},
    )
    return proof, table
