"""Built-in rules against numpy: expressions and reductions, made at once and mended by changes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mmsb
from mmsb import col

FLOATS = ["float16", "float32", "float64"]
WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def cells(rng: np.random.Generator, dtype: str, shape: Any) -> Any:
    """Cells of a type, with edges among them."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind.kind == "f":
        found = rng.normal(0, 50, shape).astype(kind)
        flat = found.reshape(-1)
        for value in (np.nan, np.inf, -np.inf, 0.0, -0.0):
            if flat.size and rng.random() < 0.3:
                flat[rng.integers(flat.size)] = value
        return found
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def same(found: Any, wanted: Any) -> None:
    """Bit for bit, all NaN alike."""
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["bool", *WHOLE, *FLOATS]),
    st.sampled_from(["bool", *WHOLE, *FLOATS]),
    st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^", "min", "max"]
    ),
    st.integers(0, 2**32),
)
def test_operators_are_those_of_numpy(left: str, right: str, op: str, seed: int) -> None:
    """On all pairs of types: the type that comes out, and the cells."""
    rng = np.random.default_rng(seed)
    with mmsb.open() as bus:
        a = bus.create_page("a", data=cells(rng, left, 40))
        b = bus.create_page("b", data=cells(rng, right, 40))

        def work(x: Any, y: Any) -> Any:
            match op:
                case "min":
                    return np.minimum(x, y)
                case "max":
                    return np.maximum(x, y)
            return eval(f"x {op} y")

        with np.errstate(all="ignore"):
            try:
                wanted = work(a.array, b.array)
            except TypeError:
                with pytest.raises(mmsb.RuleError):
                    bus.derive("c", work(col(a), col(b)))
                return
            made = bus.derive("c", work(col(a), col(b)))
            same(made.array, wanted)
            rows = rng.integers(0, 40, 3)
            a[rows] = cells(rng, left, 3)
            b[int(rows[0])] = cells(rng, right, ())[()]
            same(made.array, work(a.array, b.array))


def test_expressions_are_written_as_numpy_is() -> None:
    """Functions, where, clip, casts, Python's numbers, several columns."""
    rng = np.random.default_rng(1)
    with mmsb.open() as bus:
        book = bus.create_page("book", rows=3000, columns={"price": "f8", "qty": "i4", "name": "u1"})
        book["price"] = rng.normal(100, 20, 3000)
        book["qty"] = rng.integers(-5, 50, 3000)
        rate = bus.create_page("rate", shape=(), dtype="f8")
        rate[()] = 1.25

        def work(price: Any, qty: Any, rate: Any) -> dict[str, Any]:
            value = price * qty * rate
            return {
                "value": value,
                "dear": (price > 110) & (qty != 0),
                "root": np.sqrt(np.abs(value)) + np.log1p(np.maximum(qty, 0)),
                "cut": np.clip(np.where(qty < 0, 0, qty), 2, 30).astype("i2"),
                "left": -qty % 7 + (qty // 3) ** 2,
                "odd": np.logical_and(qty % 2 == 1, ~(price < 90)),
            }

        made = bus.derive("made", work(col(book["price"]), col(book["qty"]), col(rate)))

        def check() -> None:
            wanted = work(book["price"].array, book["qty"].array, rate.array)
            for name, cells in wanted.items():
                assert made[name].dtype == cells.dtype, name
                np.testing.assert_allclose(made[name].array, cells, rtol=1e-14, err_msg=name)

        check()
        book["qty"][[5, 2999]] = [40, 3]
        (step,) = bus.trace()
        assert step.rows_in == 2
        check()
        rate[()] = 2
        check()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda bus: col(bus["t"]), "page 't' has columns: choose one of x, y"),
        (lambda bus: col(bus["a"]) + "x", "'x': an expression takes columns, pages and numbers"),
        (lambda bus: col(bus["a"]) and 1, "an expression has a value for every cell"),
        (lambda bus: np.cumsum(col(bus["a"])), "cumsum"),  # type: ignore[call-overload]
        (lambda bus: {"z": 1}, "the expression has no column in it"),
        (lambda bus: col(bus["a"]) + col(bus["t"]["x"]), "5 .* 4|4 .* 5"),
    ],
)
def test_what_is_no_expression_is_refused(what: Any, message: str) -> None:
    """By name, and nothing is made."""
    with mmsb.open() as bus:
        bus.create_page("a", shape=(4,), dtype="f8")
        bus.create_page("t", rows=5, columns={"x": "f8", "y": "f8"})
        with pytest.raises(mmsb.MmsbError, match=message):
            bus.derive("made", what(bus))
        assert "made" not in bus


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["bool", *WHOLE, *FLOATS]),
    st.sampled_from(["sum", "min", "max", "mean", "count", "argmin", "argmax", "any", "all"]),
    st.sampled_from([None, 0, 1, 2, -1]),
    st.integers(0, 2**32),
)
def test_reductions_are_those_of_numpy(dtype: str, how: str, axis: int | None, seed: int) -> None:
    """Over everything and along each axis; of floats up to rounding."""
    rng = np.random.default_rng(seed)
    with mmsb.open() as bus:
        page = bus.create_page("page", data=cells(rng, dtype, (17, 3, 4)))
        made = bus.derive("made", mmsb.reduce(page, how, axis=axis))

        def check() -> None:
            values = page.array
            with np.errstate(all="ignore"):
                if how == "count":
                    wanted = np.sum(values == values, axis=axis, dtype="i8")
                else:
                    wanted = getattr(np, how)(values, axis=axis)
            assert made.array.dtype == np.asarray(wanted).dtype
            assert made.shape == np.shape(wanted)
            if how == "mean" or (how == "sum" and np.dtype(dtype).kind == "f"):
                loose = {"float16": 2e-2, "float32": 1e-4}.get(dtype, 1e-9)
                np.testing.assert_allclose(made.array, wanted, rtol=loose, atol=loose * 50)
            else:
                np.testing.assert_array_equal(made.array, wanted)

        check()
        for _ in range(3):
            page[rng.integers(0, 17, 2)] = cells(rng, dtype, (2, 3, 4))
            check()


def test_reductions_by_key_are_exact() -> None:
    """Groups as pandas has them; a sum that came about by changes has the bits of one made anew."""
    rng = np.random.default_rng(3)
    with mmsb.open() as bus:
        book = bus.create_page("book", rows=5000, columns={"who": "i4", "paid": "f8"})
        book["who"] = rng.integers(-1, 20, 5000)
        book["paid"] = rng.normal(0, 1e6, 5000)
        by: dict[str, Any] = {"by": book["who"], "groups": 20}
        total = bus.derive("total", mmsb.reduce(book["paid"], "sum", **by))
        most = bus.derive("most", mmsb.reduce(book["paid"], "max", **by))
        for _ in range(5):
            rows = rng.integers(0, 5000, 30)
            book["paid"][rows] = rng.normal(0, 1e-3, 30)
            book["who"][rows] = rng.integers(-1, 20, 30)
        anew = bus.derive("anew", mmsb.reduce(book["paid"], "sum", **by))
        assert total.array.tobytes() == anew.array.tobytes()
        for key in range(20):
            paid = book["paid"].array[book["who"].array == key]
            np.testing.assert_allclose(total.array[key], paid.sum(), rtol=1e-9)
            assert most.array[key] == paid.max()
        digest, epoch = bus.digest(), bus.epoch
        with pytest.raises(mmsb.RuleError, match="20"):
            book["who"][7] = 20
        assert (bus.digest(), bus.epoch) == (digest, epoch)
        book["paid"][7] = 1.0
        anew = bus.derive("again", mmsb.reduce(book["paid"], "sum", **by))
        assert total.array.tobytes() == anew.array.tobytes()
        with pytest.raises(mmsb.InvalidArgument, match="by goes with groups"):
            mmsb.reduce(book["paid"], "sum", by=book["who"])
        with pytest.raises(mmsb.RuleError, match="there is no reduction 'median'"):
            bus.derive("x", mmsb.reduce(book["paid"], "median"))
