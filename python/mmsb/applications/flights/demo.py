"""The main job: play the flights through a bus, kill its writer on the way, and prove what came of it."""

from __future__ import annotations

import dataclasses
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from mmsb.applications.flights import following, live, pages, proofs, source, summary
from mmsb.applications.flights.face import conflict_error, open_bus
from mmsb.applications.flights.oracle import Oracle
from mmsb.applications.flights.proofs import Proof
from mmsb.applications.flights.readers import LIVE, Readers
from mmsb.applications.flights.show import Bars, closing_table, following_table, noon_table
from mmsb.applications.flights.stream import Stream
from mmsb.applications.flights.whatif import Closure, close_newark
from mmsb.applications.flights.writer import Writer, peak_memory


@dataclasses.dataclass(frozen=True)
class Options:
    """What to run: the first `flights` of them, the seed of what is random, and where things go.

    `keep` is a directory for the buses, kept afterwards; without it they go. `picture` is a PNG to write.
    `at_least` is how many seconds the writer to be killed takes at least, so that even few flights last.
    """

    flights: int | None = None
    seed: int | None = None
    keep: Path | None = None
    picture: Path | None = None
    at_least: float = 2.0


@dataclasses.dataclass
class Report:
    """What came out: proofs, the airports at noon, what followed then and in an evening, figures."""

    seed: int
    proofs: list[Proof] = dataclasses.field(default_factory=list)
    noon: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    following: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every proof holds."""
        return all(proof.holds for proof in self.proofs)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {"ok": self.ok, **dataclasses.asdict(self)}


def run(options: Options, console: Console | None = None) -> Report:
    """Run it all; `Report.ok` says whether every proof holds. `FlightsMissingError` without the flights."""
    if options.flights is not None and options.flights < 1:
        raise ValueError(f"{options.flights} flights are too few: at least 1 is needed")
    console = console or Console()
    source.folder()  # says at once if there are no flights
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        return _Run(options, options.keep, console).all()
    with tempfile.TemporaryDirectory(prefix="mmsb-demo-") as folder:
        return _Run(options, Path(folder), console).all()


class _Run:
    """One run, step by step."""

    def __init__(self, options: Options, folder: Path, console: Console) -> None:
        self.options, self.folder, self.console = options, folder, console
        self.path, self.other_path = folder / "flights.mmsb", folder / "undisturbed.mmsb"
        for path in (self.path, self.other_path):
            if path.exists():
                raise FileExistsError(f"{path} is there already: the demo begins with an empty bus")
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
        self.rng = random.Random(seed)
        self.report = Report(seed)

    def all(self) -> Report:
        """Everything, in order."""
        began = time.perf_counter()
        self.console.print(f"seed {self.report.seed}, files in {self.folder}")
        self._write_killed_and_go_on()
        self._prove()
        figures = self.report.figures
        figures["seconds"] = time.perf_counter() - began
        figures["memory"] = max(peak_memory(), figures["memory"])
        self.console.print(noon_table(self.report))
        if self.report.following:
            self.console.print(following_table(self.report))
        self.console.print(closing_table(self.report))
        return self.report

    def _write_killed_and_go_on(self) -> None:
        """Two writers, one killed at a random moment; what it left is played to the end. Readers look on."""
        options = [] if self.options.flights is None else ["--flights", str(self.options.flights)]
        other = Writer(self.other_path, options)
        writer: Writer | None = None
        readers: Readers | None = None
        try:
            flights = source.load(self.options.flights)
            self.stream, self.oracle = Stream(flights), Oracle(flights)
            kill_at = int(len(self.stream) * self.rng.uniform(0.2, 0.8))
            readers = self._readers(options)
            writer = Writer(
                self.path,
                [*options, "--at-least", str(self.options.at_least)],
                kill_at,
                linger=self.rng.uniform(0, 0.01),
            )
            with Bars(self.console, len(self.stream)) as bars:
                while writer.alive:
                    bars.show(writer=writer.played, undisturbed=other.played)
                    time.sleep(0.05)
                if not writer.wait():
                    raise RuntimeError("the writer came to its end before it could be killed")
                self._go_on(writer.played, lambda played: bars.show(writer=played, undisturbed=other.played))
                while other.alive:
                    bars.show(undisturbed=other.played)
                    time.sleep(0.05)
                other.wait()
                bars.show(undisturbed=other.played)
            self.seen = readers.ended() if readers is not None else []
        finally:
            for process in (other, writer, readers):
                if process is not None:
                    process.stop()
        self.undisturbed = other.result

    def _readers(self, options: list[str]) -> Readers | None:
        """Readers that follow the bus from before its first minute, where processes share memory."""
        if not LIVE:
            self.console.print("no live readers: processes share the memory of a bus on Linux only")
            return None
        flights = self.stream.flights
        with open_bus(self.path) as bus:
            pages.create(bus, flights)
            following.derive(bus, flights)
            return Readers(self.path, options)

    def _go_on(self, acknowledged: int, tick: Any) -> None:
        """Open what the killed writer left, say which epoch survived, and play the rest."""
        left, figures = self.folder / "left.mmsb", self.report.figures
        # Readers keep the memory; a copy has nothing but what the writer left in its files.
        shutil.copytree(self.path, left, ignore=shutil.ignore_patterns("ARENA"))
        began = time.perf_counter()
        with open_bus(left) as bus:
            figures["reopened_seconds"] = time.perf_counter() - began
            from_files = bus.epoch, bus.digest()
        shutil.rmtree(left)
        began = time.perf_counter()
        with open_bus(self.path) as bus:
            figures["taken_over_seconds"] = time.perf_counter() - began
            pages.create(bus, self.stream.flights)
            survivor = proofs.survived(bus, self.stream, self.oracle, acknowledged, from_files)
            self.report.proofs.append(survivor)
            self.console.print(
                f"[bold]killed[/bold]; opened again in {figures['reopened_seconds'] * 1e3:.0f} ms: "
                f"{survivor.figure}"
            )
            self.killed = survivor.details["minute"], survivor.details["epoch"]
            bus.checkpoint()
            self.stream.play(bus, len(self.stream), tick)

    def _prove(self) -> None:
        """Every proof on the finished bus, the figures, and the picture."""
        steps = self.report.proofs
        stream, oracle = self.stream, self.oracle
        with self.console.status("reading back what was written"):
            with open_bus(self.path) as bus:
                steps.append(proofs.undisturbed(bus, self.undisturbed))
                digest = bus.digest()
                if self.seen:
                    times = {entry.epoch: entry.time_ns for entry in bus.log()}
                    steps.append(live.followed(bus, self.seen, times, self.stream.start(bus), self.killed[1]))
                    self.console.print(f"[bold]{len(self.seen)} readers[/bold]: {steps[-1].figure}")
            self._measure()
            steps.append(proofs.replays(self.path, self.folder, digest))
            with open_bus(self.path) as bus:
                steps += proofs.past(bus, stream, oracle, self.rng)
                noon, self.report.noon = proofs.noon(bus, stream, oracle)
                year = None
                if self.options.picture is not None:
                    from mmsb.applications.flights import picture

                    year = picture.look_back(bus, stream)
                last = int(stream.minutes[-1]), bus.epoch
                start = stream.start(bus)
                self.report.following = summary.moments(
                    bus, stream, sorted({noon.details["minute"], stream.evening()})
                )
                closure, branch = close_newark(bus, stream, conflict_error())
                steps += [noon, *branch]
        if year is not None:
            looked_at = noon.details["minute"]
            self._picture(year, (self.killed, (looked_at, start + stream.number(looked_at)), last), closure)

    def _measure(self) -> None:
        """Figures of the undisturbed run, and of what lies on disk before any branch is made."""
        deltas, seconds = self.undisturbed["deltas"], self.undisturbed["seconds"]
        files = [file for file in self.other_path.rglob("*") if file.is_file()]
        disk = sum(file.stat().st_blocks * 512 for file in files)
        self.report.figures |= {
            "flights": len(self.stream.flights),
            "events": len(self.stream.events),
            "epochs": self.undisturbed["minutes"],
            "deltas": deltas,
            "play_seconds": seconds,
            "deltas_per_second": deltas / seconds,
            "disk": disk,
            "bytes_per_delta": disk / deltas,
            "memory": self.undisturbed["memory"],
        }

    def _picture(self, year: Any, line: tuple[tuple[int, int], ...], closure: Closure) -> None:
        from mmsb.applications.flights import picture

        assert self.options.picture is not None
        killed, noon, last = (picture.Moment(minute, epoch) for minute, epoch in line)
        picture.draw(self.options.picture, self.stream.flights, year, (killed, noon, last), closure)
        self.console.print(f"picture in {self.options.picture}")
