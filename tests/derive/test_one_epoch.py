"""Whoever looks sees a single epoch: no source without what follows from it, in no kind of callback."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mmsb

ROWS = 64
COMMITS = 150


class World:
    """Pages of every kind that follow from two, which are always written together; what their rules saw."""

    def __init__(self, bus: mmsb.Bus) -> None:
        self.bus = bus
        self.torn: list[str] = []
        self.calls = 0
        a = bus.create_page("a", shape=(ROWS,), dtype="int64")
        b = bus.create_page("b", shape=(ROWS,), dtype="int64")
        bus.derive("twice", mmsb.col(a) * 2)
        bus.derive("total", mmsb.reduce(bus["twice"], "sum"))
        bus.derive("called", self.rule, inputs=[a, b, "twice", "total"], shape=(ROWS,), dtype="int64")
        bus.derive(
            "late", self.rule, inputs=[a, b, "twice", "total"], shape=(ROWS,), dtype="int64", when="deferred"
        )
        bus.derive(
            "lazy", self.rule, inputs=[a, b, "twice", "total"], shape=(ROWS,), dtype="int64", when="lazy"
        )
        bus.settle()

    def rule(self, a: Any, b: Any, twice: Any, total: Any) -> Any:
        """A function that is lent four pages, and looks whether they belong together."""
        self.calls += 1
        self.belong("a rule", a, b, twice, total)
        return a - 1

    def belong(self, where: str, a: Any, b: Any, twice: Any, total: Any) -> None:
        """Says where these are of several epochs."""
        if not ((a == -b).all() and (twice == 2 * a).all() and total == 2 * a.sum() and (a == a[0]).all()):
            self.torn.append(f"{where}: a {a[0]}, b {b[0]}, twice {twice[0]}, total {total}")

    def look(self, where: str, state: Any) -> None:
        """Looks at all pages of a state."""
        a, b, twice, total = (state[name].array for name in ("a", "b", "twice", "total"))
        self.belong(where, a, b, twice, total)
        made = ["called", "lazy"] + ([] if state["late"].stale else ["late"])
        for name in made:
            if (state[name].array != a - 1).any():
                self.torn.append(f"{where}: {name} {state[name].array[0]} beside a {a[0]}")

    def write(self, value: int) -> None:
        """Writes both."""
        with self.bus.transaction():
            self.bus["a"][:] = value
            self.bus["b"][:] = -value


@pytest.mark.parametrize("threads", [1, 2])
def test_every_callback_sees_one_epoch(threads: int) -> None:
    """Rules, watches, snapshots of other threads, transactions, past states, progress."""
    with mmsb.open(threads=threads) as bus:
        world = World(bus)
        start = bus.epoch
        over = threading.Event()
        failed: list[BaseException] = []
        counts: dict[str, int] = {}

        def again(where: str, look: Callable[[], None]) -> threading.Thread:
            def run() -> None:
                try:
                    while not over.is_set():
                        look()
                        counts[where] = counts.get(where, 0) + 1
                except BaseException as error:
                    failed.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            return thread

        def snapshot() -> None:
            with bus.snapshot() as state:
                world.look("a snapshot", state)

        def past() -> None:
            world.look("a past state", bus.at(max(bus.epoch - 3, start)))

        def reading() -> None:
            with bus.transaction():
                world.look("a transaction", bus)

        def progress() -> None:
            bus.digest()
            with bus.snapshot() as state:
                state.digest(progress=lambda _: world.look("while a digest is taken", state))

        def watching() -> None:
            with bus.watch() as updates:
                for update in updates:
                    world.look("a watch", bus.at(update.epoch))
                    pages = set(update.pages)
                    if "a" in pages and not {"b", "twice", "total", "called"} <= pages:
                        world.torn.append(f"an update of {pages}")
                    counts["updates"] = counts.get("updates", 0) + 1
                    if over.is_set():
                        return

        looking = [again(what.__name__, what) for what in (snapshot, past, reading, progress)]
        watcher = threading.Thread(target=watching)
        watcher.start()
        for value in range(1, COMMITS + 1):
            world.write(value)
        over.set()
        while watcher.is_alive():
            world.write(0)
            watcher.join(0.05)
        for thread in looking:
            thread.join()
        assert not failed, failed[0]
        assert not world.torn, world.torn[:5]
        assert world.calls > COMMITS
        assert all(counts.get(what, 0) for what in ("snapshot", "past", "reading", "progress", "updates")), (
            counts
        )
        bus.settle()
        world.look("the end", bus)
        assert not bus["late"].stale
        np.testing.assert_array_equal(bus["late"].array, bus["a"].array - 1)
