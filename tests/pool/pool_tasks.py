"""What tests of tasks share: a bus, and tasks that workers find by name."""

import contextlib
import copyreg
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mmsb

X = np.random.default_rng(5).random(20)


def with_pages(bus: mmsb.Bus) -> mmsb.Bus:
    """The pages that the tasks know."""
    bus.create_page("x", data=X, op="add")
    bus.create_page("sum", shape=(2,), dtype="f8", op="add")
    bus.create_page("grid", shape=(20, 2), dtype="f4")
    bus.create_page("book", rows=20, columns={"qty": "i4", "name": "S8", "spot": ("f4", (2,))})
    bus.create_page("one", shape=(), dtype="i8")
    bus.create_page("blob", size=20)
    bus.create_page("seen", shape=(20, 4), dtype="f8")
    bus.create_page("runs", shape=(50,), dtype="i8", op="add")
    return bus


@contextlib.contextmanager
def leaving_nothing(path: Path) -> Iterator[mmsb.Bus]:
    """A bus with a path; when it is closed, no memory and no process is left of it."""
    with with_pages(mmsb.open(path)) as made:
        yield made
        memory = file_of(made["x"].array).parent
        assert memory.exists()
    assert multiprocessing.active_children() == []
    # An error that a test looked at holds its frames, and so what was being committed.
    gc.collect()
    assert not memory.exists()
    assert not [file for file in opened() if "mmsb-deltas" in file]
    assert "mmsb-deltas" not in Path("/proc/self/maps").read_text()


def opened() -> Iterator[str]:
    """The files that this process has open."""
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(file.readlink())


def add_up(total: Any, task: int, x: Any) -> None:
    """What `add_far_apart` comes to, in plain numpy."""
    total[0] += x[task] * 100.0 ** (task % 7)
    total[1] += x[task] / 3
    total[0] += x[-task]


def add_far_apart(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Adds numbers whose sum depends on their order."""
    x = pages["x"]
    out.merge("sum", np.array([x[task] * 100.0 ** (task % 7), x[task] / 3]), rows=np.array([0, 1]))
    out.merge("sum", x[-task], rows=[0])
    out.merge("sum", 0.0)


FURTHER = mmsb.monoid("further", np.fmax, -np.inf, "f8")
UNNAMED = mmsb.monoid("unnamed", lambda a, b: np.maximum(a, b), -np.inf, "f8")


def merge_by(task: str, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Merges by monoids."""
    out.merge("x", np.full(2, 7.0), rows=[0, 1], op={"named": FURTHER, "unnamed": UNNAMED}[task])
    out.merge("x", 5.0, rows=[1, 2], op=mmsb.monoid("max"))
    out.merge("x", 0.0, rows=[3], op=mmsb.monoid("min")["f8"])


def everything(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Changes pages of each kind, by each kind of index and value, and uses its array again."""
    cells = np.full(2, task, "f4")
    out.write("grid", (slice(2 * task, 2 * task + 2), 1), cells)
    cells[...] = -1
    out.write("grid", (task, 0), 7)
    out.merge("book", {"qty": [1, task], "spot": np.full((2, 2), 0.5, "f4")}, rows=[task, 9], op="add")
    out.write("book", slice(task, task + 1), {"name": np.array([b"abc"])})
    out.merge("grid", np.asfortranarray(np.ones((20, 2), "f4")), op="max")
    out.merge("grid", np.array(3.0, "f4"), rows=np.arange(20) == task, op="add")
    out.write("one", (), pages["one"] + task)
    out.write("grid", np.array([], int), np.empty((0, 2), "f4"))
    out.write("blob", slice(task, task + 1), b"x")


def file_of(view: Any) -> Path:
    """The file in which an array lies."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= view.ctypes.data < last:
            return Path(line.split()[-1])
    raise AssertionError("it lies nowhere")


def look(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Says what it looks at: whether it lies in the arena's files, whether it can be written, its sum."""
    view = pages["x"]
    shared = file_of(view).name.startswith("span-")
    out.write("seen", task, [os.getpid(), shared, view.flags.writeable, view.sum()])


def count(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Counts itself, and takes some time."""
    time.sleep(0.001 * (task % 3))
    out.merge("runs", 1, rows=[task])


def assign(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Assigns what follows from what it sees."""
    out.write("x", task, pages["x"][task] + 1)


def add(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Adds what it sees to another cell."""
    out.merge("x", pages["x"][task] + 1, rows=[task + 1])


def refuse(array: Any) -> Any:
    raise AssertionError(f"an array of {array.nbytes} bytes is pickled")


def double(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Changes much, where an array that is pickled is an error."""
    copyreg.pickle(np.ndarray, refuse)
    out.merge("x", np.asarray(pages["x"]), rows=np.arange(len(pages["x"])))


def fail(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Fails late in the third task, at once in those that follow."""
    out.write("x", task, 9.0)
    if task == 2:
        time.sleep(0.1)
    if task >= 2:
        raise LookupError(f"not for {task}")


class Own(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail_oddly(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    raise Own(1, 2)


def die(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Kills its process in one of the tasks, with much already handed over."""
    out.merge("x", np.ones(len(pages["x"])))
    if task == 3:
        os.kill(os.getpid(), 9)


def leave(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    os._exit(7)


def misfit(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    out.merge("x", 1.0, rows=[0])
    if task == 1:
        out.merge("x", np.ones(3), rows=[0, 1])


def bad(task: Any, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Does what it is told, which cannot be."""
    uses: dict[str, Callable[[], object]] = {
        "page": lambda: out.merge("nobody", 1),
        "view": lambda: pages["nobody"],
        "object": lambda: out.write("x", ..., np.array([None, {}])),
        "op": lambda: out.merge("x", 1, op=3),  # type: ignore[arg-type]
        "follows": lambda: out.write("twice", ..., 1.0),
    }
    uses[task]()


def first_last(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Changes much; the first task is done when the others are, or nearly."""
    if task == 0:
        time.sleep(0.5)
    out.merge("wide", np.full(40_000, float(task)))


def sleep(task: int, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Takes longer than anybody waits."""
    time.sleep(1000)


def nothing(task: Any, pages: mmsb.Views, out: mmsb.Out) -> None:
    """Changes nothing."""
