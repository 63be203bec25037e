"""Who holds which versions: whose, of what, since when, how old, at what cost."""

import gc
import os
import time
from pathlib import Path

import mmsb


def test_what_a_snapshot_and_a_view_hold() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(100_000,), dtype="f8")
    page[:] = 1.0
    assert bus.pins() == []
    began = time.monotonic()
    now, held = bus.snapshot(), page.array
    time.sleep(0.05)
    for value in range(5):
        page[:] = value + 0.5
    whole, view = sorted(bus.pins(), key=lambda pin: pin.page)[:2]
    assert (whole.page, whole.name, whole.pid) == (0, None, os.getpid())
    assert (view.page, view.name, view.pid) == (page.id, "p", os.getpid())
    assert (whole.branch, whole.epoch) == (view.branch, view.epoch) == ("main", 2)
    assert 0.05 <= (whole.age or 0) <= time.monotonic() - began + 0.1
    bytes_held = sum(pin.bytes for pin in bus.pins())
    assert held.nbytes <= bytes_held == bus.stats()["held_bytes"] < 2 * held.nbytes
    now.close()
    del held
    gc.collect()
    assert page.array[0] == 4.5, "the page lets go of the array that it kept"
    page[0] = 7
    assert sum(pin.bytes for pin in bus.pins()) < 100_000


def test_epochs_of_branches_and_of_what_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with mmsb.open(path) as bus:
        page = bus.create_page("p", shape=(10,), dtype="i4")
        for value in range(5):
            page[0] = value
        plan = bus.branch("plan", at=3)
        plan["p"][1] = 1
    with mmsb.open(path) as bus:
        plan = bus.checkout("plan")
        states = [bus.snapshot(), plan.snapshot()]
        assert {(pin.branch, pin.epoch) for pin in bus.pins()} == {("main", 6), ("plan", 4)}
        bus["p"][2] = 2
        plan["p"][2] = 2
        states += [bus.snapshot(), plan.snapshot()]
        held = {(pin.branch, pin.epoch) for pin in bus.pins()}
        assert held == {("main", 6), ("plan", 4), ("main", 7), ("plan", 5)}
        assert all(pin.age is not None and pin.age >= 0 for pin in bus.pins())
        assert len(states) == 4


def test_an_empty_bus() -> None:
    bus = mmsb.open()
    with bus.snapshot():
        (pin,) = bus.pins()
        assert (pin.branch, pin.epoch, pin.age, pin.bytes) == ("main", 0, None, 0)
