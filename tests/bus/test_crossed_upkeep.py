"""What a process does in the background, while others do as they like with the same bus."""

import signal
import sys
import time
from pathlib import Path

import pytest
from told import Start

import mmsb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")


def test_a_bus_closes_while_another_process_is_stopped_in_its_turn(tmp_path: Path, writer: Start) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    bus.create_page("p", shape=(10,), dtype="i8")
    bus.create_page("q", shape=(10,), dtype="i8")
    # What another process writes leaves this behind, which a thread of this one makes in a turn of its own.
    bus.derive("s", lambda p: p.sum(), inputs=["p"], shape=(), dtype="i8")
    other = writer(path)
    stops = "lambda q: (os.kill(os.getpid(), 19) if q[0] else None) or q.sum()"
    assert other.ask(f"bus.derive('t', {stops}, inputs=['q'], shape=(), dtype='i8').name") == "'t'"
    other.tell("[bus['p'].__setitem__(0, 1), bus['p'].__setitem__(0, 2), bus['q'].__setitem__(0, 1)]")
    end = time.monotonic() + 20
    while not stopped(other.process.pid):
        assert time.monotonic() < end, "it does not stop"
        time.sleep(0.001)
    began = time.monotonic()
    bus.close()
    assert time.monotonic() - began < 15, "it waits for its own turn for a while, and then leaves without"
    other.process.send_signal(signal.SIGCONT)
    assert other.told() == "[None, None, None]"


def stopped(pid: int) -> bool:
    """Whether a process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def test_segments_are_compressed_though_another_process_pruned_older_ones(
    tmp_path: Path, writer: Start
) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(500_000,), dtype="i8")
    other = writer(path)
    assert other.ask("[bus['p'].__setitem__(..., n) for n in range(10)] and 1") == "1"
    page[0] = 1
    assert other.ask("bus.checkpoint() and bus.prune(1) and 1") == "1"
    # This process, which sees to upkeep, knows the segments that are gone.
    end = time.monotonic() + 30
    number = 0
    while not list((path / "log").glob("*.zseg")):
        assert time.monotonic() < end, sorted(file.name for file in (path / "log").iterdir())
        number += 1
        page[...] = number
    assert bus.verify().ok
    assert int(page.array[7]) == number


def test_what_was_merged_into_a_branch_that_another_process_dropped_is_in_checkpoints(
    tmp_path: Path, writer: Start
) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(4,), dtype="i8")
    left, right = bus.branch("left"), bus.branch("right")
    left["p"][0] = 1
    right["p"][1] = 1
    other = writer(path)
    assert other.ask("bus.checkout('left').merge(bus.checkout('right')) is not None") == "True"
    bus.merge(left)
    right["p"][1] = 2
    page[1] = 1
    # With what `left` had of `right`, both sides have `right` as it was at its first merge in common.
    assert other.ask("bus.checkout('left').drop()") == "None"
    bus.checkpoint()
    bus.close()
    other.end()
    with mmsb.open(path) as bus:
        bus.prune(keep_checkpoints=1)
        bus.merge(bus.checkout("right"))
        assert bus["p"].array.tolist() == [1, 2, 0, 0]
        assert bus.verify().ok
