"""Products and folds of arrays: built in against the rules' bits, users' against the built-in ones."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmsb
from mmsb import algebra
from mmsb.algebra.fold import fold, fold_runs

FAR = np.iinfo("i8").max


def length(a: Any, b: Any) -> Any:
    return np.where((a == FAR) | (b == FAR), FAR, a + b)


WAYS = mmsb.semiring(
    "ways", np.minimum, length, FAR, 0, "i8", claims="absorptive",
    domain=lambda a: (a == FAR) | ((a >= 0) & (a < 1 << 60)),
)  # fmt: skip
PLAIN = mmsb.semiring("plain", np.add, np.multiply, 0, 1, "i8")
FLOATS = mmsb.semiring("floats", np.add, np.multiply, 0, 1, "f8")
SLOW = mmsb.semiring("slow", lambda a, b: max(a, b), lambda a, b: min(a, b), -128, 127, "i1", scalar=True)
PAIRS: list[tuple[Any, str]] = [(WAYS, "min_plus"), (PLAIN, "plus_times"), (SLOW, "max_min")]


def cells(rng: np.random.Generator, shape: Any, by: Any) -> Any:
    made = rng.integers(0, 40, shape).astype(by.dtype)
    made[rng.random(shape) < 0.2] = by.zero
    return made


@pytest.mark.parametrize(("mine", "builtin"), PAIRS[:2])
@given(rows=st.integers(0, 40), inner=st.integers(0, 40), width=st.integers(0, 5), seed=st.integers(0, 99))
def test_products_of_users_are_those_of_rust(
    mine: Any, builtin: str, rows: int, inner: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    left, right = cells(rng, (rows, inner), mine), cells(rng, (inner, width), mine)
    wanted = algebra.matmul(left, right, builtin)
    assert wanted.shape == (rows, width)
    assert np.array_equal(algebra.matmul(left, right, mine), wanted)
    vector = cells(rng, inner, mine)
    wanted = algebra.matmul(left, vector, builtin)
    assert wanted.shape == (rows,)
    assert np.array_equal(algebra.matmul(left, vector, mine), wanted)
    here = rng.random(left.shape) < 0.4
    at, index = np.nonzero(here)
    starts = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=rows))])
    sparse = algebra.spmv(starts, index, left[here], vector, builtin)
    assert np.array_equal(sparse, algebra.matmul(np.where(here, left, mine.zero), vector, builtin))
    assert np.array_equal(algebra.spmv(starts, index, left[here], vector, mine), sparse)
    several = algebra.spmv(starts, index, left[here], right, builtin)
    assert several.shape == (rows, width)
    assert np.array_equal(several, algebra.matmul(np.where(here, left, mine.zero), right, builtin))
    assert np.array_equal(algebra.spmv(starts, index, left[here], right, mine), several)


def test_products_by_a_function_of_numbers() -> None:
    rng = np.random.default_rng(1)
    left, right = cells(rng, (7, 9), SLOW), cells(rng, (9, 3), SLOW)
    wanted = algebra.matmul(left.astype("i8"), right.astype("i8"), "max_min")
    assert algebra.matmul(left, right, SLOW).tolist() == wanted.tolist()


def test_products_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(30, 70)), rng.normal(size=(70, 20))
    whole = algebra.matmul(left, right, FLOATS)
    assert np.allclose(whole, left @ right)
    monkeypatch.setattr("mmsb.algebra.product._CELLS", 300)
    assert algebra.matmul(left, right, FLOATS).tobytes() == whole.tobytes()


def test_arrays_have_the_bits_that_rules_make() -> None:
    rng = np.random.default_rng(3)
    with mmsb.open() as bus:
        a = bus.create_page("a", data=rng.normal(size=(20, 33)))
        b = bus.create_page("b", data=rng.normal(size=(33, 4)))
        v = bus.create_page("v", data=rng.normal(size=33))
        for semiring in ("plus_times", "log", FLOATS, mmsb.semiring("min_plus")):
            for right in (b, v):
                made = bus.derive("made", mmsb.matmul(a, right, semiring=semiring))
                assert algebra.matmul(a.array, right.array, semiring).tobytes() == made.array.tobytes()
                bus.release("made")
                bus.drop_page("made")
        summed = bus.derive("summed", mmsb.reduce(v, "sum"))
        assert np.allclose(algebra.reduce(v.array), summed.array)


@given(count=st.integers(0, 700), seed=st.integers(0, 99))
def test_folds_of_users_have_the_bits_of_rust(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    mine = mmsb.monoid("mine", np.add, 0.0, "f8")
    assert np.float64(algebra.reduce(values, mine)).tobytes() == np.float64(algebra.reduce(values)).tobytes()
    assert algebra.reduce(values, "min") == min(values, default=np.inf)


@given(lengths=st.lists(st.integers(0, 70), max_size=12), seed=st.integers(0, 9))
def test_runs_are_folded_as_each_alone(lengths: list[int], seed: int) -> None:
    plus = FLOATS.operations[0]  # type: ignore[index]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(int)
    values = np.random.default_rng(seed).normal(size=(starts[-1], 2))
    made = fold_runs(plus, values, starts, np.float64(0))
    wanted = [fold(plus, values[a:b], np.float64(0)) for a, b in itertools.pairwise(starts)]
    assert made.shape == (len(lengths), 2)
    assert made.tobytes() == np.array(wanted).tobytes()


def test_folds_along_axes() -> None:
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4) - 7
    largest = mmsb.monoid("largest", np.maximum, np.iinfo("i8").min, "i8")
    product = functools.partial(np.multiply.reduce, dtype="i8")
    for axis in (None, 0, 1, 2, -1):
        for monoid, wanted in (("max", np.maximum.reduce), (largest, np.maximum.reduce), ("prod", product)):
            flat = values.reshape(-1) if axis is None else values
            made = algebra.reduce(values, monoid, axis)
            assert np.array_equal(made, wanted(flat, axis=axis or 0))
    assert algebra.reduce(np.zeros((0, 3)), "min", 0).tolist() == [np.inf] * 3
    assert algebra.reduce(np.zeros((3, 0)), "min", 0).shape == (0,)
    assert algebra.reduce(np.array([True, False]), "xor") == np.True_
    assert algebra.reduce([0.0, np.log(3)], "logsum") == pytest.approx(np.log(4))


def test_what_does_not_fit_is_refused() -> None:
    a, v = np.zeros((3, 4)), np.zeros(5)
    for semiring in ("plus_times", FLOATS):
        with pytest.raises(mmsb.ShapeError, match=r"3, 4.*5"):
            algebra.matmul(a, v, semiring)
        with pytest.raises(mmsb.DtypeError, match="right is of int64 where float64"):
            algebra.matmul(a, np.zeros(4, "i8"), semiring)
        with pytest.raises(mmsb.IndexOutOfRange, match="5"):
            algebra.spmv([0, 1], [5], [1.0], v, semiring)
        with pytest.raises(mmsb.IndexOutOfRange):
            algebra.spmv([0, 1], [-1], [1.0], v, semiring)
        with pytest.raises(mmsb.ShapeError, match="from 0 to 2"):
            algebra.spmv([0, 1], [0, 1], [1.0, 2.0], v, semiring)
        with pytest.raises(mmsb.ShapeError, match="row 1 of a sparse matrix ends before it begins"):
            algebra.spmv([0, 1, 0, 1], [0], [1.0], v, semiring)
        with pytest.raises(mmsb.ShapeError, match="one axis each"):
            algebra.spmv([0, 1], [0, 1], [1.0], v, semiring)
        with pytest.raises(mmsb.ShapeError, match="of the vector there may be two"):
            algebra.spmv([0, 1], [0], [1.0], np.zeros((5, 2, 2)), semiring)
        with pytest.raises(mmsb.IndexOutOfRange, match="5"):
            algebra.spmv([0, 1], [5], [1.0], np.zeros((5, 2)), semiring)
    with pytest.raises(mmsb.DtypeError, match="semiring 'floats' is on cells of float64, not of float32"):
        algebra.matmul(a.astype("f4"), np.zeros(4, "f4"), FLOATS)
    with pytest.raises(mmsb.DtypeError, match="'counting' is not for cells of"):
        algebra.matmul(a, a.T, "counting")
    with pytest.raises(mmsb.ShapeError, match="axis 2 of 2 axes"):
        algebra.reduce(a, "sum", 2)
    with pytest.raises(mmsb.DtypeError, match="values: dtype"):
        algebra.reduce(np.array(["a"]))
    with pytest.raises(mmsb.InvalidArgument, match="semiring 5"):
        algebra.matmul(a, a.T, 5)  # type: ignore[arg-type]


def test_a_sparse_matrix_is_multiplied_however_it_lies() -> None:
    """What Rust takes as it lies, and what Python makes of everything else, come to the same."""
    rng = np.random.default_rng(3)
    starts, index = np.array([0, 2, 2, 5]), np.array([0, 3, 1, 2, 3], "i4")
    values, vector = rng.random(5), rng.random(4)
    wanted = algebra.spmv(starts, index, values, vector).tobytes()
    apart = np.empty((5, 2))
    apart[:, 0] = values
    crooked = np.frombuffer(b"x" + values.tobytes(), "f8", offset=1)
    of_class: Any = vector.view(type("Mine", (np.ndarray,), {}))
    ways: list[tuple[Any, ...]] = [
        (starts.tolist(), index.tolist(), values.tolist(), vector.tolist()),
        (starts.astype("u8"), index.astype("u4"), values, vector),
        (starts.astype("i2"), index.astype("u1"), values, vector),
        (starts.astype(">i8"), index.astype(">i4"), values.astype(">f8"), vector.astype(">f8")),
        (starts, index, apart[:, 0], vector),
        (starts, index, crooked, of_class),
    ]
    for way in ways:
        assert algebra.spmv(*way).tobytes() == wanted
    with pytest.raises(mmsb.ShapeError):
        algebra.spmv(starts, index.reshape(5, 1), values, vector)
    with pytest.raises(mmsb.IndexOutOfRange, match="column of entry 3 is -1"):
        algebra.spmv(starts, np.array([0, 3, 1, -1, 3], "i4"), values, vector)
    with pytest.raises(mmsb.DtypeError):
        algebra.spmv(starts, index, values, vector.astype("f4"))
    with pytest.raises(mmsb.InvalidArgument, match="nothing"):
        algebra.spmv(starts, index, values, vector, "nothing")
