"""The process that writes: `python -m mmsb.applications.flights.writer PATH`, and its parent's handle on it.

It says how many minutes it has played, and at the end what came of it. A minute is only reported once its
commit has returned, so the parent knows what must have survived.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

from mmsb.applications.flights import following, pages, source
from mmsb.applications.flights.child import Child, say
from mmsb.applications.flights.face import open_bus
from mmsb.applications.flights.stream import TICK, Stream

_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


def peak_memory() -> int:
    """The most memory this process has had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def main(arguments: list[str] | None = None) -> int:
    """Play the flights into a bus, from wherever it stands."""
    parser = argparse.ArgumentParser(
        prog="python -m mmsb.applications.flights.writer", description=main.__doc__
    )
    parser.add_argument("path", type=Path, help="the bus: a directory, made if absent")
    parser.add_argument("--flights", type=int, help="only the first so many flights")
    parser.add_argument("--durability", default="process", choices=("memory", "process", "disk"))
    parser.add_argument(
        "--at-least", type=float, default=0.0, metavar="SECONDS", help="take at least so long"
    )
    options = parser.parse_args(arguments)

    flights = source.load(options.flights)
    stream = Stream(flights)
    with open_bus(options.path, durability=options.durability) as bus:
        pages.create(bus, flights)
        following.derive(bus, flights)
        first, began = stream.played(bus), time.perf_counter()

        def tick(played: int) -> None:
            say(played=played)
            # A few flights are over before anybody could kill their writer; so it may be slowed.
            ahead = options.at_least * played / len(stream) - (time.perf_counter() - began)
            if ahead > 0:
                time.sleep(ahead)

        count = stream.play(bus, len(stream), tick, every=min(TICK, 1 + len(stream) // 10_000))
        seconds = time.perf_counter() - began
        say(
            played=len(stream),
            minutes=count,
            deltas=stream.deltas.count(first, len(stream)),
            seconds=seconds,
            epoch=bus.epoch,
            digest=bus.digest(),
            memory=peak_memory(),
        )
    return 0


class Writer(Child):
    """A writer process; optionally killed once it has played so many minutes."""

    def __init__(
        self, path: Path, options: list[str], kill_at: int | None = None, linger: float = 0.0
    ) -> None:
        """Start it. `linger` is how many seconds after the minute `kill_at` the SIGKILL comes."""
        self._kill_at, self._linger = kill_at, linger
        self.played = 0
        self.result: dict[str, Any] = {}
        super().__init__("mmsb.applications.flights.writer", [str(path), *options])

    def heard(self, facts: dict[str, Any]) -> None:
        """How far it is, and at the end what came of it."""
        self.played = facts["played"]
        if "digest" in facts:
            self.result = facts
        if self._kill_at is not None and self.played >= self._kill_at:
            self._kill_at = None
            time.sleep(self._linger)
            self.kill()

    def wait(self) -> bool:
        """Wait for its end; True if it was killed, `RuntimeError` with its own words if it failed."""
        code = self.ended()
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"the writer ended with {code}:\n{self.complaints}")
        return code == -signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main())
