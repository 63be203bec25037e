"""Every kind of rule in one graph: what is kept is what making all anew gives, bit for bit."""

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

import mmsb

N = 40
GROUPS = 5
WAYS = ["x", "y", "dense", "entries", "book", "live", "names", "roads", "shut", "starts"]
STRANGE = [0.0, -0.0, 1.0, -1.5, 1e300, 3.0, 0.1, float("inf"), float("nan")]

Pages = dict[str, mmsb.Page]
col: Any = mmsb.col


def sources(bus: mmsb.Bus) -> Pages:
    """Vectors, a table, a graph and a sparse matrix."""
    starts = bus.create_page("starts", shape=(N + 1,), dtype="i8")
    starts[:] = np.arange(N + 1) * 3
    return {
        "x": bus.create_page("x", shape=(N,), dtype="f8"),
        "y": bus.create_page("y", shape=(N,), dtype="f8"),
        "dense": bus.create_page("dense", shape=(N, N), dtype="f8"),
        "starts": starts,
        "entries": bus.create_page("entries", rows=3 * N, columns={"index": "i4", "value": "f8"}),
        "book": bus.create_page("book", rows=N, columns={"key": "i4", "price": "f8", "live": "?"}),
        "names": bus.create_page("names", rows=GROUPS, columns={"key": "i4", "rate": "f8"}),
        "roads": bus.create_page(
            "roads", rows=3 * N, columns={"source": "i4", "target": "i4", "weight": "f8"}
        ),
    }


def write(bus: mmsb.Bus, of: Pages, dice: random.Random) -> None:
    """Changes one source somewhere: a cell, some, or a whole column."""
    many = dice.choice([1, 1, 3, N])

    def some(rows: int) -> list[int]:
        return sorted(dice.sample(range(rows), min(many, rows)))

    def numbers(count: int) -> list[float]:
        plain = [dice.randrange(-40, 40) / 8 for _ in range(count)]
        return [dice.choice(STRANGE) if dice.random() < 0.2 else number for number in plain]

    which = dice.choice(["x", "x", *WAYS])
    if which in ("x", "y"):
        rows = some(N)
        of[which][rows] = numbers(len(rows))
    elif which == "dense":
        row = dice.randrange(N)
        of[which][row, : dice.choice([1, N])] = dice.randrange(9) / 4
    elif which == "entries":
        rows = some(3 * N)
        of[which]["index"][rows] = [dice.randrange(N) for _ in rows]
        of[which]["value"][rows] = numbers(len(rows))
    elif which == "book":
        rows = some(N)
        of[which]["key"][rows] = [dice.randrange(-1, GROUPS) for _ in rows]
        of[which]["price"][rows] = numbers(len(rows))
    elif which == "live":
        rows = some(N)
        of["book"]["live"][rows] = [dice.random() < 0.5 for _ in rows]
    elif which == "names":
        of[which]["rate"][dice.randrange(GROUPS)] = dice.choice(STRANGE)
    elif which == "roads":
        rows = some(3 * N)
        roads = of[which]
        with bus.transaction():
            roads["source"][rows] = [dice.randrange(N) for _ in rows]
            roads["target"][rows] = [dice.randrange(N) for _ in rows]
            roads["weight"][rows] = [dice.randrange(1, 30) / 4 for _ in rows]
    elif which == "shut":
        of["roads"]["weight"][some(3 * N)] = np.inf
    else:
        middle = dice.randrange(1, N)
        low, high = int(of[which][middle - 1]), int(of[which][middle + 1])
        of[which][middle] = dice.randint(low, high)


def vector_rules(of: Pages, dice: random.Random, vectors: list[mmsb.Page], numbers: list[mmsb.Page]) -> Any:
    """A rule that makes a vector of some of those that are there."""
    a, b = (dice.choice(vectors) for _ in range(2))
    one = col(dice.choice(numbers)) if numbers else 2.0
    rules: list[Callable[[], Any]] = [
        lambda: col(a) * 0.5 + col(b),
        lambda: np.where(col(a) > col(b), col(a), one),
        lambda: np.minimum(col(a), col(b)) - one,
        lambda: mmsb.window(a, dice.choice(["sum", "min", "max", "mean"]), dice.choice([1, 3, 17])),
        lambda: mmsb.spmv(of["starts"], of["entries"], a, semiring=dice.choice(["plus_times", "min_plus"])),
        lambda: mmsb.matmul(of["dense"], a, semiring=dice.choice(["plus_times", "max_plus"])),
        lambda: mmsb.closure(of["roads"], 0, vertices=N, semiring=dice.choice(["min_plus", "max_min"])),
        lambda: mmsb.reduce(of["dense"], dice.choice(["sum", "max"]), axis=dice.choice([0, 1])),
    ]
    return dice.choice(rules)()


def build(bus: mmsb.Bus, of: Pages, seed: int, lazy: bool) -> list[mmsb.Page]:
    """Pages that follow from the sources and from one another: the same for the same seed."""
    dice = random.Random(seed)
    vectors, numbers = [of["x"], of["y"]], list[mmsb.Page]()
    made: list[Any] = []

    def add(rule: Any, **options: Any) -> Any:
        options.setdefault("when", dice.choice(["eager", "eager", "eager", "lazy"]) if lazy else "eager")
        made.append(bus.derive(f"d{len(made)}", rule, **options))
        return made[-1]

    with bus.transaction():
        add(mmsb.join(of["book"]["key"], of["names"]["key"]))
        kept = add(mmsb.filter(of["book"]["live"]), when="eager")
        numbers.append(add(mmsb.reduce(kept["price"], "sum")))
        groups = add(
            mmsb.reduce(of["book"]["price"], dice.choice(["sum", "max"]), by=of["book"]["key"], groups=GROUPS)
        )
        vectors.append(add(mmsb.gather(groups, of["book"]["key"])))
        for _ in range(dice.randrange(3, 9)):
            kind = dice.randrange(6)
            if kind == 0:
                of_one = dice.choice(vectors)
                numbers.append(add(mmsb.reduce(of_one, dice.choice(["sum", "min", "max", "mean"]))))
            elif kind == 1:
                of_one = dice.choice(vectors)
                rule: Any = lambda a: np.sort(a)[::-1].copy()  # noqa: E731 - a rule of Python's among the others
                vectors.append(add(rule, inputs=[of_one], shape=(N,), dtype="f8"))
            else:
                vectors.append(add(vector_rules(of, dice, vectors, numbers)))
    return made


def cells(page: mmsb.Page) -> list[bytes]:
    """The bits of a page."""
    names: Any = page.columns or ()
    return [page[name].array.tobytes() for name in names] if names else [page.array.tobytes()]


def copy(of: Pages, to: Pages) -> None:
    """Writes the sources as they are into those of another bus."""
    for name, page in of.items():
        if page.columns:
            for column in page.columns:
                to[name][column] = page[column].array
        else:
            to[name][...] = page.array


def rewire(bus: mmsb.Bus, page: str, seed: int) -> None:
    """Gives a page another rule, of sources alone: no cycle can come of it."""
    of = {name: bus[name] for name in ("x", "y", "dense", "starts", "entries", "roads")}
    bus.derive(page, vector_rules(of, random.Random(seed), [of["x"], of["y"]], []))


@given(seed=st.integers(0, 1 << 30), lazy=st.booleans())
@example(730, False)  # a gather makes rows of a later group first
def test_what_is_kept_is_what_making_all_anew_gives(seed: int, lazy: bool) -> None:
    """A second bus is given the sources as they are, and the same rules from nothing."""
    dice = random.Random(seed + 1)
    with mmsb.open(threads=dice.choice([1, 2])) as bus:
        of = sources(bus)
        of["names"]["key"] = np.arange(GROUPS)
        made = build(bus, of, seed, lazy)
        for _ in range(4):
            for _ in range(dice.randrange(1, 4)):
                write(bus, of, dice)
            with mmsb.open() as anew:
                again = sources(anew)
                copy(of, again)
                for kept, fresh in zip(made, build(anew, again, seed, lazy), strict=True):
                    assert cells(kept) == cells(fresh), f"{kept.name} of seed {seed}"


@given(seed=st.integers(0, 1 << 30))
def test_whatever_happens_to_a_graph_it_is_as_made_anew(seed: int) -> None:
    """The same where states are gone back to, branches merged, transactions given up and rules exchanged."""
    dice = random.Random(seed + 1)
    with mmsb.open(threads=dice.choice([1, 2])) as bus:
        of, rewired = sources(bus), list[tuple[str, int]]()
        of["names"]["key"] = np.arange(GROUPS)
        made = build(bus, of, seed, False)
        late = bus.derive("late", col(made[4]) * 2.0, when="deferred")
        plain = [page.name for page in made[5:] if page.shape == (N,)]
        began = bus.epoch
        for step in range(12):
            what = dice.choice(["write", "write", "revert", "branch", "give up", "rewire"])
            if what == "write":
                write(bus, of, dice)
            elif what == "revert" and not rewired:
                bus.revert(dice.randrange(began, bus.epoch + 1))
            elif what == "branch" and not rewired:
                branch = bus.branch(f"b{step}")
                write(branch, {name: branch[name] for name in of}, dice)
                write(bus, of, dice)
                bus.merge(branch, on_conflict="theirs")
            elif what == "give up":
                with contextlib.suppress(ZeroDivisionError), bus.transaction():
                    of["x"][dice.randrange(N)] = dice.random()
                    assert len(made[4].array) == N
                    raise ZeroDivisionError
            elif what == "rewire" and plain:
                rewired.append((dice.choice(plain), dice.randrange(1 << 30)))
                rewire(bus, *rewired[-1])
        bus.settle()
        with mmsb.open() as anew:
            again = sources(anew)
            copy(of, again)
            fresh = build(anew, again, seed, False)
            for page, how in rewired:
                rewire(anew, page, how)
            doubled = anew.derive("late", col(fresh[4]) * 2.0)
            for one, other in zip([*made, late], [*fresh, doubled], strict=True):
                assert cells(one) == cells(other), f"{one.name} of seed {seed}"


def test_every_callback_sees_one_epoch() -> None:
    """What follows from a page is of the page's epoch, in every look while another thread writes."""
    with mmsb.open() as bus:
        source = bus.create_page("source", shape=(700,), dtype="i8")
        double = bus.derive("double", col(source) * 2)
        rule: Any = lambda a, b: a + b  # noqa: E731
        three = bus.derive("three", rule, inputs=[source, double], shape=(700,), dtype="i8")
        bus.derive("total", mmsb.reduce(three, "sum"))
        seen: list[int] = []
        last = 150

        watch = bus.watch("total")

        def look(state: Any) -> None:
            of = state["source"].array
            assert (state["double"].array == 2 * of).all()
            assert (state["three"].array == 3 * of).all()
            assert int(state["total"].array) == 3 * int(of.sum())

        def follow() -> None:
            for update in watch:
                with bus.at(update.epoch) as state:
                    assert state.epoch == update.epoch
                    look(state)
                seen.append(update.epoch)
                if update.epoch >= last:
                    return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        step = 0
        while bus.epoch < last:
            source[step % 700] = step + 1
            step += 1
            with bus.snapshot() as state:
                look(state)
        thread.join(60)
        assert not thread.is_alive()
        assert seen == sorted(set(seen))
        assert seen[-1] == last
        assert three.version == last
