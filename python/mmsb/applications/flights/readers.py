"""The processes that look on: `python -m mmsb.applications.flights.readers PATH`, and their parent's handles.

A reader follows the bus from the first minute to the last, whoever writes it. Each state that it takes must
be what plain numpy makes of the file for that minute, and the minute must be the one of the epoch. It says
when it is there, and then has a line for each look: the parent puts those of all together (`live`).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mmsb.applications.flights import source
from mmsb.applications.flights.child import Child, say
from mmsb.applications.flights.face import Bus, LiveBus, Watch, open_bus
from mmsb.applications.flights.live import Look, Seen
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.stream import Stream

COUNT: Final = 3
"""Readers of a demo."""

LIVE: Final = sys.platform == "linux"
"""Whether processes share the memory of a bus here."""

REST: Final = 4
"""How many times the processor time of a look a reader rests after it: the cores are for those that write."""

PATIENCE: Final = 60.0
"""Seconds without a commit after which a reader gives up: nobody writes any more."""


def main(arguments: list[str] | None = None) -> int:
    """Follow the flights as they are written, and check every state that is seen against the file."""
    parser = argparse.ArgumentParser(
        prog="python -m mmsb.applications.flights.readers", description=main.__doc__
    )
    parser.add_argument("path", type=Path, help="the bus, which somebody has open")
    parser.add_argument("--flights", type=int, help="only the first so many flights")
    options = parser.parse_args(arguments)

    stream = Stream(source.load(options.flights))
    with open_bus(options.path, mode="r") as bus:
        if not bus.follows:
            raise RuntimeError(f"the memory of {options.path} is out of reach")
        with bus.watch() as watch:
            say(ready=True)
            fine = True
            for look in looks(bus, watch, stream):
                say(**dataclasses.asdict(look))
                fine = not look.wrong
    return 0 if fine else 1


def looks(bus: LiveBus, watch: Watch, stream: Stream) -> Iterator[Look]:
    """A look for each update, up to the one of the last minute, or to the first that finds something."""
    oracle, start = Oracle(stream.flights), stream.start(bus)
    told = 0
    while told < start + len(stream):
        waited = time.time_ns()
        update = watch.next(PATIENCE)
        seen = time.time_ns()
        if update is None:
            raise RuntimeError(f"nothing was committed for {PATIENCE:.0f} s")
        began = time.process_time()
        with bus.snapshot() as state:
            told, wrong = update.epoch, differences(state, stream, oracle, start)
            yield Look(update.since, told, waited, seen, state.epoch, state.digest(), wrong)
        if wrong:
            return
        time.sleep(REST * (time.process_time() - began))


def differences(state: Bus, stream: Stream, oracle: Oracle, start: int) -> list[str]:
    """What is wrong with a state: its minute is not its epoch's, or a column is not what the file says."""
    minute = int(state["clock"].arrays["minute"][0])
    played = stream.number(minute)
    due = int(stream.minutes[played - 1]) if played else 0
    if (minute, state.epoch) != (due, start + played):
        return [f"minute {minute}, the {played}. of {len(stream)}, at epoch {state.epoch}"]
    return oracle.differences(state, minute)


class Reader(Child):
    """A reader, and the looks it has had."""

    def __init__(self, arguments: list[str]) -> None:
        """Start it."""
        self.ready = threading.Event()
        self.looks: list[Look] = []
        super().__init__("mmsb.applications.flights.readers", arguments)

    def heard(self, facts: dict[str, Any]) -> None:
        """It is there, or has looked."""
        if "ready" in facts:
            self.ready.set()
        else:
            self.looks.append(Look(**facts))


class Readers:
    """All of them."""

    def __init__(self, path: Path, options: list[str]) -> None:
        """Start them, and wait until they follow the bus, which must be open."""
        self._readers = [Reader([str(path), *options]) for _ in range(COUNT)]
        for reader in self._readers:
            while not reader.ready.wait(0.05):
                if not reader.alive:
                    self.stop()
                    raise RuntimeError(f"a reader did not get to the bus:\n{reader.complaints}")

    def ended(self) -> list[Seen]:
        """Wait until all have come to the end; what each has seen."""
        return [Seen(reader.looks, reader.ended(), reader.complaints) for reader in self._readers]

    def stop(self) -> None:
        """End those that still run."""
        for reader in self._readers:
            reader.stop()


if __name__ == "__main__":
    sys.exit(main())
