"""Who holds which versions: whose, of what, since when, how old, at what cost."""

import gc
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from told import Told

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


HOLDER = """
import sys, mmsb
bus = mmsb.open(sys.argv[1], "r")
now = bus.snapshot()
view = now["p"].array
digest = now.digest()
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except mmsb.MmsbError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")
@pytest.mark.parametrize("pins", ["warn", "spill", "expire"])
def test_a_process_that_is_stopped_costs_what_it_may(tmp_path: Path, pins: str) -> None:
    path, limit = tmp_path / "bus", 1 << 20
    bus = mmsb.open(path, pins=cast(Any, pins), pin_limit=limit)
    pages = [bus.create_page(name, shape=(50_000,), dtype="f8") for name in "pqrs"]
    for page in pages:
        page[:] = 1.0
    reader = Told(HOLDER, path)
    try:
        digest = reader.ask("digest")
        os.kill(reader.process.pid, signal.SIGSTOP)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for value in range(5):
                for page in pages:
                    page[:] = value + 2.0
        whole = [pin for pin in bus.pins() if pin.pid == reader.process.pid and not pin.page]
        held = bus.stats()["held_bytes"]
        if pins == "warn":
            (pin,), (warning,) = whole, said
            assert min(pin.bytes, held) > limit
            assert not pin.leased
            assert (warning.category, warning.filename) == (mmsb.PinWarning, __file__)
            assert f"process {pin.pid} holds" in str(warning.message)
        else:
            assert (whole, said) == ([], [])
            assert 400_000 < held < 2 * 400_000, "a view costs one version"
            assert bus.stats()["snapshots_let_go"] == 1
        os.kill(reader.process.pid, signal.SIGCONT)
        now = reader.ask("now.digest()")
        assert now == ("SnapshotExpired" if pins == "expire" else digest)
        assert reader.ask("float(view.sum())") == "50000.0"
        assert reader.ask("bus.digest()") == repr(bus.digest())
    finally:
        reader.kill()
        reader.end()


def test_a_policy_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(mmsb.InvalidArgument, match="'warn', 'spill' and 'expire'"):
        mmsb.open(pins=cast(Any, "forget"))
    with pytest.raises(mmsb.InvalidArgument, match="pin_limit"):
        mmsb.open(pins="spill", pin_limit=-1)
    with mmsb.open(tmp_path / "bus"), pytest.raises(mmsb.InvalidArgument, match="mode 'r'"):
        mmsb.open(tmp_path / "bus", "r", pins="expire")


def test_a_limit_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path, pins="expire", pin_limit=0)
    page = bus.create_page("p", shape=(1000,), dtype="f8")
    page[:] = 1.0
    with mmsb.open(path):
        now = bus.snapshot()
        assert now["p"][0] == 1.0
        page[:] = 2.0
        with pytest.raises(mmsb.SnapshotExpired):
            now.digest()


def test_an_expired_snapshot_says_so(tmp_path: Path) -> None:
    bus = mmsb.open(pins="expire", pin_limit=1000)
    pages = [bus.create_page(name, data=np.arange(1000.0)) for name in "pq"]
    with bus.snapshot() as now:
        array = now["p"].array
        assert "epoch 2, 2 pages" in repr(now)
        # The array keeps the one by itself, and the snapshot the other.
        for page in pages:
            page[:] = 1.0
        assert repr(now) == "<Snapshot of epoch 2, expired>"
        for read in (lambda: now["p"], lambda: now.digest(), lambda: len(now), lambda: bus.diff(now, bus)):
            with pytest.raises(mmsb.SnapshotExpired, match="epoch 2 of branch 'main'") as said:
                read()
            assert said.value.code == "snapshot-expired"
        assert array[5] == 5.0
    with pytest.raises(mmsb.ClosedError):
        now.digest()
    assert bus.at(2)["p"].array[5] == 5.0, "history is there all the same"
