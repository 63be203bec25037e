"""Pages that functions make: what they take and return, and what is refused."""

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> Any:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def test_a_function_makes_its_page_in_the_same_epoch(bus: mmsb.Bus) -> None:
    """The decorator of the documentation."""
    velocity = bus.create_page("velocity", shape=(1000, 3), dtype="float32")

    @bus.derive("speed", inputs=[velocity], shape=(1000,), dtype="float32")  # type: ignore[untyped-decorator]
    def speed(velocity: Any) -> Any:
        assert not velocity.flags.writeable
        return np.linalg.norm(velocity, axis=1)

    before = bus.epoch
    velocity[3] = (3, 4, 0)
    assert bus.epoch == before + 1
    assert speed.array[3] == 5
    assert speed.version == bus.epoch
    (step,) = bus.trace()
    assert (step.page, step.cause, step.level, step.rows_in, step.outcome) == (
        "speed",
        "velocity",
        1,
        1,
        "changed",
    )
    velocity[3] = (0, 0, 5)
    assert [step.outcome for step in bus.trace()] == ["equal"]


def test_tables_go_in_and_out_as_mappings(bus: mmsb.Bus) -> None:
    """A table comes as arrays by column."""
    book = bus.create_page("book", rows=4, columns={"price": "float64", "qty": "int32"})

    def value(book: Any) -> Any:
        return {"value": book["price"] * book["qty"], "dear": book["price"] > 10}

    made = bus.derive("value", value, inputs="book", rows=4, columns={"value": "f8", "dear": "?"})
    book["price"] = [1, 20, 3, 4]
    book["qty"][1] = 3
    assert made["value"].array.tolist() == [0, 60, 0, 0]
    assert made["dear"].array.tolist() == [False, True, False, False]


def test_a_function_may_take_what_changed_and_return_some_rows(bus: mmsb.Bus) -> None:
    """Masks in, rows and values out."""
    source = bus.create_page("source", shape=(2000,), dtype="int64")
    seen: list[list[int]] = []

    def double(source: Any, changed: Any) -> Any:
        (mask,) = changed
        seen.append(np.flatnonzero(mask).tolist())
        return mask, source[mask] * 2

    made = bus.derive("double", double, inputs=[source], shape=(2000,), dtype="int64", changed=True)
    assert seen.pop() == [*range(2000)]
    source[[5, 6, 1700]] = [1, 2, 3]
    assert seen.pop() == [5, 6, 1700]
    assert made.array[[5, 6, 1700]].tolist() == [2, 4, 6]
    assert made.array.sum() == 12


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: 1 / 0, "page 'b', rule '.*<lambda>': ZeroDivisionError: division by zero"),
        (lambda a: a[:3], r"what the rule returns has shape \(3,\) where \(4,\) is wanted"),
        (lambda a: 1.0, r"what the rule returns has shape \(\) where \(4,\) is wanted"),
        (lambda a: a * 0.5, "what the rule returns: a float cannot go where int64 does"),
        (lambda a: a.__setitem__(0, 1), "ValueError: assignment destination is read-only"),
        (lambda a: None, "what the rule returns is None"),
    ],
)
def test_a_function_that_fails_undoes_the_commit(bus: mmsb.Bus, function: Any, message: str) -> None:
    """Nothing is changed, and the bus goes on."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    fails = False
    made = bus.derive(
        "b", lambda a: function(a) if fails else a + 0, inputs=[source], shape=(4,), dtype="int64"
    )
    digest, epoch = bus.digest(), bus.epoch
    fails = True
    with pytest.raises(mmsb.RuleError, match=message) as caught:
        source[0] = 7
    assert caught.value.__cause__ is not None
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    fails = False
    source[0] = 8
    assert made.array.tolist() == [8, 0, 0, 0]
    # A page whose rule fails at once does not come to be.
    with pytest.raises(mmsb.RuleError):
        bus.derive("c", function, inputs=[source], shape=(4,), dtype="int64")
    assert "c" not in bus


def test_what_is_lent_is_not_kept(bus: mmsb.Bus) -> None:
    """A view that outlives the call is an error that names its input."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    kept: list[Any] = []

    def keeps(a: Any) -> Any:
        kept.append(a[1:])
        return a + 0

    with pytest.raises(mmsb.RuleError, match="the rule keeps a view of its input 'a'"):
        bus.derive("b", keeps, inputs=[source], shape=(4,), dtype="int64")
    assert "b" not in bus
    assert kept[0].shape == (3,)
    # What it returns may be what it was lent.
    same = bus.derive("same", lambda a: a, inputs=[source], shape=(4,), dtype="int64")
    source[1] = 5
    assert same.array[1] == 5


def test_a_function_does_not_use_its_bus(bus: mmsb.Bus) -> None:
    """Reading and writing it are both refused; another bus is its own affair."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    other = mmsb.open()
    elsewhere = other.create_page("x", shape=(4,), dtype="int64")

    def writes(a: Any) -> Any:
        source[0] = 1
        return a

    def reads(a: Any) -> Any:
        return source.array

    def swallows(a: Any) -> Any:
        with contextlib.suppress(mmsb.MmsbError):
            source[0] = 1
        return a

    for function in (writes, reads, swallows):
        with pytest.raises(mmsb.RuleError, match="a rule uses the bus that it makes a page of"):
            bus.derive("b", function, inputs=[source], shape=(4,), dtype="int64")
    made = bus.derive("b", lambda a: a + elsewhere.array, inputs=[source], shape=(4,), dtype="int64")
    source[2] = 3
    assert made.array.tolist() == [0, 0, 3, 0]
    other.close()


def test_names_of_what_is_wrong(bus: mmsb.Bus) -> None:
    """A cycle, a written page, a page that goes, an input that is not there."""
    a = bus.create_page("a", shape=(2,), dtype="int64")
    shape: Any = {"shape": (2,), "dtype": "int64"}
    b = bus.derive("b", lambda a: a + 1, inputs=[a], **shape)
    c = bus.derive("c", lambda b: b + 1, inputs=[b], **shape)
    with pytest.raises(mmsb.CycleError, match="page 'b' would follow from itself: b -> c -> b"):
        bus.derive("b", lambda c: c, inputs=[c], **shape)
    with pytest.raises(mmsb.FollowsError, match="page 'b' follows from others"):
        b[0] = 1
    with pytest.raises(mmsb.FollowsError, match="page 'a' cannot go: page 'b' follows from it"):
        bus.drop_page("a")
    with pytest.raises(mmsb.PageNotFound, match="no page named 'nothing'"):
        bus.derive("d", lambda x: x, inputs=["nothing"], **shape)
    with pytest.raises(mmsb.NameTaken):
        bus.derive("a", lambda b: b, inputs=[b], **shape)
    bus.release(b)
    b[0] = 7
    assert c.array.tolist() == [8, 2]


def test_a_transaction_reads_what_follows_from_its_own_writes(bus: mmsb.Bus) -> None:
    """And leaves nothing where it fails."""
    a = bus.create_page("a", shape=(2,), dtype="int64")
    b = bus.derive("b", lambda a: a * 10, inputs=[a], shape=(2,), dtype="int64")
    with bus.transaction():
        a[0] = 1
        assert b.array.tolist() == [10, 0]
        a[1] = 2
        assert b.array.tolist() == [10, 20]
        c = bus.derive("c", lambda b: b + 1, inputs=[b], shape=(2,), dtype="int64")
        assert c.array.tolist() == [11, 21]
    assert (b.array.tolist(), c.array.tolist()) == ([10, 20], [11, 21])
    with pytest.raises(KeyError, match="stop"), bus.transaction():
        bus.derive("d", lambda b: b + 1, inputs=[b], shape=(2,), dtype="int64")
        raise KeyError("stop")
    assert "d" not in bus


def test_a_reopened_bus_says_what_is_stale_and_takes_the_rule_again(tmp_path: Path) -> None:
    """Replay calls no function; a process that has not declared one leaves its page stale."""
    path = tmp_path / "bus"
    calls: list[int] = []

    def double(a: Any) -> Any:
        calls.append(1)
        return a * 2

    with mmsb.open(path) as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        b = bus.derive("b", double, inputs=[a], shape=(2,), dtype="int64")
        a[0] = 1
        digest = bus.digest()
        assert len(calls) == 2
    with mmsb.open(path) as bus:
        assert bus.digest() == digest
        assert bus["b"].array.tolist() == [2, 0]
        assert bus.verify().ok
        assert bus.at(2)["b"].array.tolist() == [0, 0]
        bus["a"][1] = 5
        assert bus["b"].array.tolist() == [2, 0]
        assert bus.explain("b").stale
        assert "stale" in str(bus.explain("b"))
        assert len(calls) == 2
        b = bus.derive("b", double, inputs="a", shape=(2,), dtype="int64")
        assert b.array.tolist() == [2, 10]
        assert not bus.explain("b").stale


def test_explaining_and_the_graph(bus: mmsb.Bus) -> None:
    """The way from a page to what changed, and the graph of rustworkx."""
    a = bus.create_page("a", shape=(2,), dtype="int64")
    bus.create_page("clock", shape=(), dtype="int64")
    b = bus.derive("b", lambda a: a + 1, inputs=[a], after="clock", shape=(2,), dtype="int64")
    bus.derive("c", lambda a, b: a + b, inputs=[a, b], shape=(2,), dtype="int64")
    a[0] = 4
    why = bus.explain("c")
    assert why.inputs == (("a", "data"), ("b", "data"))
    assert why.epoch == bus.epoch
    assert why.causes == ("a",)
    assert why.step is not None
    assert why.step.rows_out == 1
    assert bus.explain("b").inputs == (("a", "data"), ("clock", "control"))
    assert "c: function" in str(why)
    assert "because of a" in str(why)
    assert str(bus.explain("a")) == "a: written, not derived"
    graph = bus.graph()
    by_name = {graph[node]["page"]: node for node in graph.node_indices()}
    assert sorted(by_name) == ["a", "b", "c", "clock"]
    assert graph.get_edge_data(by_name["clock"], by_name["b"]) == {"kind": "control"}
    assert graph.has_edge(by_name["b"], by_name["c"])
    assert not graph[by_name["a"]]["rule"]
    bus["clock"][()] = 1
    assert [step.outcome for step in bus.trace()] == ["marked"]
    assert bus.explain("b").stale


def test_writers_on_other_threads_wait_for_a_slow_function() -> None:
    """A thread that holds the interpreter lets go of it while it waits for one whose rule needs it."""
    with mmsb.open(busy_timeout=0.3) as bus:
        a = bus.create_page("a", shape=(2,), dtype="int64")
        other = bus.create_page("other", shape=(2,), dtype="int64")
        hold = threading.Event()

        def slow(a: Any) -> Any:
            if a[0] == 1:
                hold.wait(5)
            return a + 1

        bus.derive("b", slow, inputs=[a], shape=(2,), dtype="int64")

        def write() -> None:
            a[0] = 1

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.05)
        with pytest.raises(mmsb.BusyError, match="the rule of page 'b' is running"):
            other[0] = 3
        hold.set()
        thread.join()
        other[0] = 4
        assert bus["b"].array[0] == 2
        assert other.array[0] == 4


def test_many_threads_write_what_functions_follow(bus: mmsb.Bus) -> None:
    """Commits of several threads, each with a rule that needs the interpreter."""
    pages = [bus.create_page(f"p{i}", shape=(2,), dtype="int64") for i in range(4)]
    total = bus.derive("total", lambda *all: sum(all), inputs=pages, shape=(2,), dtype="int64")

    def work(page: mmsb.Page) -> None:
        for i in range(200):
            page[0] = i

    threads = [threading.Thread(target=work, args=(page,)) for page in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.array.tolist() == [4 * 199, 0]


def test_a_page_without_axes_comes_as_a_number(bus: mmsb.Bus) -> None:
    """Of its dtype, and so may be kept; what is returned may be a number of Python's or numpy's."""
    kept: list[Any] = []
    for dtype in ("?", "i1", "u8", "f2", "f4", "f8", "S3", "S20"):
        source = bus.create_page(f"of {dtype}", shape=(), dtype=dtype)

        def keeps(number: Any) -> Any:
            kept.append(number)
            return number

        same = bus.derive(f"same {dtype}", keeps, inputs=[source], shape=(), dtype=dtype)
        source[...] = b"ab" if dtype.startswith("S") else 1
        assert type(kept[-1]) is np.dtype(dtype).type
        assert same.array == source.array == kept[-1]
        assert same.array.dtype == np.dtype(dtype)
    count = bus.create_page("count", shape=(), dtype="i4")
    made = bus.derive("made", lambda number: 2 * int(number), inputs=[count], shape=(), dtype="i4")
    count[...] = 21
    assert made.array == 42
    wrong: Any = None
    bus.derive("wrong", lambda _: 0 if wrong is None else wrong, inputs=[count], shape=(), dtype="i4")
    for step, value in enumerate([1 << 31, 0.5, np.float64(0.5), [1], "x", np.int64(1 << 31)]):
        wrong = value
        with pytest.raises(mmsb.RuleError, match="page 'wrong'"):
            count[...] = step + 30
    assert made.array == 42


def test_what_is_lent_is_not_made_writeable(bus: mmsb.Bus) -> None:
    """Small arrays are copies, which numpy lets anybody write: that it was done is an error all the same."""
    for rows in (4, 4000):
        source = bus.create_page(f"a{rows}", shape=(rows,), dtype="int64")

        def writes(a: Any) -> Any:
            a.flags.writeable = True
            a[0] = 7
            return a

        with pytest.raises(mmsb.RuleError, match=r"(?i)writeable"):
            bus.derive("b", writes, inputs=[source], shape=(rows,), dtype="int64")
        assert "b" not in bus
        assert source.array[0] == 0


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_masked_values_are_not_taken(bus: mmsb.Bus, dtype: str, shape: tuple[int, ...]) -> None:
    """What is under a mask is no value, whatever the cells are."""
    source = bus.create_page("a", shape=shape, dtype=dtype)
    masked = np.ma.masked if shape == () else np.ma.array([1, 2, 3], mask=[False, True, False], dtype=dtype)
    with pytest.raises(mmsb.RuleError, match="the values are masked"):
        bus.derive("b", lambda _: masked, inputs=[source], shape=shape, dtype=dtype)
    whole: Any = np.ma.array(np.full(shape, 7, dtype), mask=False)
    made = bus.derive("c", lambda _: whole, inputs=[source], shape=shape, dtype=dtype)
    assert made.array.tolist() == np.full(shape, 7).tolist()
