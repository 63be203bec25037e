"""Rules that are compiled: functions of C from ctypes, and of numba where that is installed."""

import ctypes
import sys
import threading
from typing import Any

import numpy as np
import pytest

import mmsb
from mmsb.derive import CFunction, cfunc_signature

Given = Any


@pytest.fixture
def bus() -> Any:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def seen(at: int | None, count: int, dtype: Any) -> Any:
    """The cells at an address."""
    size = count * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(at or 0), dtype)


@CFunction  # type: ignore[untyped-decorator]
def double(inputs: Given, lengths: Given, out: int, length: int) -> int:
    """Twice its one input; fails where that has a negative cell."""
    cells = seen(inputs[0], lengths[0], "i8")
    if (cells < 0).any():
        return 7
    seen(out, length, "i8")[:] = cells * 2
    return 0


def test_a_function_of_c_makes_its_page(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(4,), dtype="int64")
    made = bus.derive("double", double, inputs=[a], shape=(4,), dtype="int64")
    a[1:3] = [5, 6]
    assert made.array.tolist() == [0, 10, 12, 0]
    assert [(step.page, step.rows_in, step.rows_out) for step in bus.trace()] == [("double", 2, 2)]
    with bus.transaction():
        a[0] = 1
        assert made.array.tolist() == [2, 10, 12, 0]
    epoch = bus.epoch
    with pytest.raises(mmsb.RuleError, match=r"page 'double', rule '.*': the native function returned 7"):
        a[0] = -1
    assert (bus.epoch, a.array[0]) == (epoch, 1)


# ctypes says itself what is raised in a callback, and goes on with 0.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_calls_back_into_the_bus_is_refused(bus: mmsb.Bus) -> None:
    a, other = (bus.create_page(name, shape=(4,), dtype="int64") for name in ("a", "other"))
    writes = False

    @CFunction  # type: ignore[untyped-decorator]
    def meddles(inputs: Given, lengths: Given, out: int, length: int) -> int:
        if writes:
            other[0] = 1
        seen(out, length, "i8")[:] = 1
        return 0

    made = bus.derive("made", meddles, inputs=[a], shape=(4,), dtype="int64")
    writes, epoch = True, bus.epoch
    with pytest.raises(mmsb.RuleError, match=r"page 'made', rule '.*': a rule uses the bus that it makes"):
        a[0] = 1
    assert (bus.epoch, a.array[0], other.array[0]) == (epoch, 0, 0)
    writes = False
    a[0] = 1
    other[0] = 2
    assert (made.array[0], other.array[0]) == (1, 2)


def test_columns_come_one_after_another(bus: mmsb.Bus) -> None:
    """Of tables, pages with inner axes, scalars and truth values; as many cells as each has."""
    book = bus.create_page("book", rows=3, columns={"price": "f8", "open": "?", "at": ("f4", (2,))})
    factor = bus.create_page("factor", shape=(), dtype="f8")
    lengths_seen: list[list[int]] = []

    @CFunction  # type: ignore[untyped-decorator]
    def worth(inputs: Given, lengths: Given, out: int, length: int) -> int:
        lengths_seen.append([*lengths[:4], length])
        price, live = seen(inputs[0], 3, "f8"), seen(inputs[1], 3, "?")
        at, by = seen(inputs[2], 6, "f4").reshape(3, 2), seen(inputs[3], 1, "f8")
        cells = seen(out, length, "f8").reshape(3, 2)
        assert not cells.any()
        cells[:] = (price * live * by)[:, None] + at
        return 0

    made = bus.derive("worth", worth, inputs=[book, factor], shape=(3, 2), dtype="f8")
    with bus.transaction():
        book["price"] = [1, 2, 3]
        book["open"] = [True, False, True]
        book["at"][2] = (10, 20)
        factor[()] = 2
    assert made.array.tolist() == [[2, 2], [0, 0], [16, 26]]
    assert lengths_seen[-1] == [3, 3, 6, 1, 6]


def test_what_c_calls_true_is_true(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(3,), dtype="u1")

    @CFunction  # type: ignore[untyped-decorator]
    def copy(inputs: Given, lengths: Given, out: int, length: int) -> int:
        seen(out, length, "u1")[:] = seen(inputs[0], length, "u1")
        return 0

    made = bus.derive("b", copy, inputs=[a], shape=(3,), dtype="?")
    a[:] = [0, 1, 255]
    assert made.array.view("u1").tolist() == [0, 1, 1]


def test_large_pages_and_other_threads(bus: mmsb.Bus) -> None:
    """The interpreter is let go of: a function of C that waits for a thread of Python's gets it."""
    a = bus.create_page("a", shape=(100_000,), dtype="int64")
    begun, go_on = threading.Event(), threading.Event()

    @CFunction  # type: ignore[untyped-decorator]
    def waits(inputs: Given, lengths: Given, out: int, length: int) -> int:
        begun.set()
        return 0 if go_on.wait(10) else 1

    def release() -> None:
        begun.wait(10)
        go_on.set()

    thread = threading.Thread(target=release)
    thread.start()
    bus.derive("b", waits, inputs=[a], shape=(), dtype="int64")
    thread.join()
    made = bus.derive("double", double, inputs=[a], shape=(100_000,), dtype="int64")
    a[70_000:] = np.arange(30_000)
    assert np.array_equal(made.array, a.array * 2)


def test_wrong_functions_are_refused_when_declared(bus: mmsb.Bus) -> None:
    a = bus.create_page("a", shape=(4,), dtype="int64")
    other = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)
    shape: Any = {"inputs": [a], "shape": (4,), "dtype": "int64"}
    with pytest.raises(
        mmsb.InvalidArgument, match="page 'b': the function of ctypes is not declared as int32"
    ):
        bus.derive("b", other, **shape)
    with pytest.raises(mmsb.InvalidArgument, match="page 'b': changed goes with a function of Python's"):
        bus.derive("b", double, changed=True, **shape)
    with pytest.raises(mmsb.InvalidArgument, match="page 'b': timeout goes with a function of Python's"):
        bus.derive("b", double, timeout=1, **shape)
    with pytest.raises(mmsb.ShapeError, match="page 'b' has 2 columns: a native function makes one"):
        bus.derive("b", double, inputs=[a], rows=4, columns={"x": "i8", "y": "i8"})

    class Nowhere:
        address = 0

    with pytest.raises(mmsb.InvalidArgument, match="has the address 0"):
        bus.derive("b", Nowhere(), **shape)
    assert list(bus) == ["a"]


def test_anything_with_an_address(bus: mmsb.Bus) -> None:
    """It is kept as long as the rule."""

    class Found:
        address = ctypes.cast(double, ctypes.c_void_p).value or 0
        keeps = double

    a = bus.create_page("a", shape=(4,), dtype="int64")
    made = bus.derive("b", Found(), inputs=a, shape=(4,), dtype="int64")
    a[0] = 4
    assert made.array[0] == 8

    class Called:
        """Something of Python's that happens to have an address."""

        address = 12

        def __call__(self, a: Any) -> Any:
            return a + 1

    assert bus.derive("c", Called(), inputs=a, shape=(4,), dtype="int64").array[0] == 5


def test_without_numba_it_says_what_is_missing(bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    a = bus.create_page("a", shape=(4,), dtype="int64")
    function = mmsb.native(lambda a, out: None)
    with pytest.raises(mmsb.InvalidArgument, match="needs numba: pip install"):
        bus.derive("b", function, inputs=a, shape=(4,), dtype="int64")


def test_many_native_rules_of_a_level(bus: mmsb.Bus) -> None:
    """Threads that share a level run functions that need the interpreter, too."""
    a = bus.create_page("a", shape=(50_000,), dtype="int64")
    pages = [bus.derive(f"p{i}", double, inputs=[a], shape=(50_000,), dtype="int64") for i in range(8)]
    for value in range(3):
        a[:] = np.arange(50_000) + value
        with bus.transaction():
            a[0] = value
            assert pages[3].array[1] == 2 * (1 + value)
    assert all(np.array_equal(page.array, a.array * 2) for page in pages)


def test_numba_compiles_plain_functions(bus: mmsb.Bus) -> None:
    pytest.importorskip("numba")
    mass = bus.create_page("mass", shape=(1000,), dtype="float64")
    speed = bus.create_page("speed", shape=(1000, 3), dtype="float32")
    factor = bus.create_page("factor", shape=(), dtype="float64")
    factor[()] = 0.5

    @bus.derive("energy", inputs=[mass, speed, factor], shape=(1000,), dtype="float64")  # type: ignore[untyped-decorator]
    @mmsb.native
    def energy(mass: Any, speed: Any, factor: Any, out: Any) -> None:
        for i in range(len(out)):
            square = 0.0
            for axis in range(3):
                square += speed[i, axis] ** 2
            out[i] = factor[()] * mass[i] * square

    mass[:] = 2
    speed[7] = (1, 2, 2)
    assert energy.array[7] == 9
    assert energy.array.sum() == 9
    assert [step.page for step in bus.trace()] == ["energy"]
    assert "test_native" in bus.explain("energy").rule
    assert bus.explain("energy").rule.endswith("energy")


def test_numba_takes_the_columns_of_tables(bus: mmsb.Bus) -> None:
    pytest.importorskip("numba")
    book = bus.create_page("book", rows=4, columns={"price": "float64", "live": "?", "qty": "int32"})

    @mmsb.native(boundscheck=False, error_model="numpy")
    def worth(price: Any, live: Any, qty: Any, out: Any) -> None:
        for i in range(len(out)):
            out[i, 0] = price[i] * qty[i] * live[i]
            out[i, 1] = price[i] / qty[i]

    made = bus.derive("worth", worth, inputs="book", shape=(4, 2), dtype="f8")
    with bus.transaction():
        book["price"] = [1, 2, 3, 4]
        book["live"] = [True, True, False, True]
        book["qty"] = [2, 4, 2, 0]
    assert made.array.tolist() == [[2, 0.5], [8, 0.5], [0, 1.5], [0, np.inf]]
    # As it was written, for tests of it.
    out = np.zeros((1, 2))
    worth(np.array([3.0]), np.array([True]), np.array([2]), out)
    assert out.tolist() == [[6, 1.5]]


def test_numba_says_what_is_wrong(bus: mmsb.Bus) -> None:
    """When it is declared what cannot be compiled, writes of inputs too; when it runs what is raised."""
    pytest.importorskip("numba")
    a = bus.create_page("a", shape=(4,), dtype="int64")
    shape: Any = {"inputs": [a], "shape": (4,), "dtype": "int64"}

    @mmsb.native
    def writes(a: Any, out: Any) -> None:
        a[0] = 1

    @mmsb.native
    def asks(a: Any, out: Any) -> None:
        print(open("x"))  # noqa: SIM115, PTH123

    @mmsb.native
    def beyond(a: Any, out: Any) -> None:
        out[a[0]] = 1

    for function in (writes, asks):
        with pytest.raises(
            mmsb.InvalidArgument, match=f"page 'b': numba cannot compile .*{function.function.__name__}"
        ):
            bus.derive("b", function, **shape)
    made = bus.derive("b", beyond, **shape)
    a[0] = 3
    assert made.array.tolist() == [0, 0, 0, 1]
    with pytest.raises(mmsb.RuleError, match=r"page 'b', rule '.*beyond': the native function returned 1"):
        a[0] = 4
    assert a.array[0] == 3
    with pytest.raises(mmsb.DtypeError, match="a native function makes one column"):
        bus.derive("c", beyond, inputs=a, rows=4, columns={"x": "i8", "y": "i8"})


def test_a_cfunc_is_taken_as_it_is(bus: mmsb.Bus) -> None:
    numba = pytest.importorskip("numba")
    a = bus.create_page("a", shape=(4,), dtype="int64")
    shape: Any = {"inputs": [a], "shape": (4,), "dtype": "int64"}

    @numba.cfunc(cfunc_signature())  # type: ignore[untyped-decorator]
    def negative(inputs: Any, lengths: Any, out: Any, length: Any) -> int:
        cells = numba.carray(inputs[0], lengths[0], np.int64)
        made = numba.carray(out, length, np.int64)
        for i in range(length):
            made[i] = -cells[i]
        return 0

    @numba.cfunc(numba.types.float64(numba.types.float64))  # type: ignore[untyped-decorator]
    def other(x: Any) -> Any:
        return x

    made = bus.derive("b", negative, **shape)
    a[2] = 9
    assert made.array.tolist() == [0, 0, -9, 0]
    with pytest.raises(
        mmsb.InvalidArgument, match=r"page 'c': the cfunc is \(float64,\) -> float64 where int32"
    ):
        bus.derive("c", other, **shape)
