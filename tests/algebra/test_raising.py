"""Operations of users' own that keep their laws when they are declared, and fail later."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mmsb


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory, with an array and a table."""
    with mmsb.open() as bus:
        bus.create_page("a", data=np.arange(1, 5))
        bus.create_page("t", rows=4, columns={"v": "i8", "w": "i8"})
        yield bus


class Turns:
    """Operations that turn bad when they are told to."""

    def __init__(self, how: str) -> None:
        self.how, self.is_bad = how, False

    def plus(self, a: Any, b: Any) -> Any:
        return self.spoil(a + b)

    def times(self, a: Any, b: Any) -> Any:
        return self.spoil(a * b)

    def nearer(self, a: Any, b: Any) -> Any:
        return self.spoil(np.minimum(a, b))

    def spoil(self, made: Any) -> Any:
        if not self.is_bad:
            return made
        if self.how == "raises":
            raise LookupError("no good")
        return made.astype("f4") if self.how == "dtype" else made[..., None]


WAYS = [
    ("raises", mmsb.InvalidArgument, "LookupError: no good"),
    ("dtype", mmsb.DtypeError, "made float32 of two arrays of int64"),
    ("shape", mmsb.ShapeError, "made shape"),
]


@pytest.mark.parametrize(("how", "error", "message"), WAYS)
def test_a_merge_names_the_page_and_the_monoid(
    bus: mmsb.Bus, how: str, error: type[mmsb.MmsbError], message: str
) -> None:
    turns = Turns(how)
    mine = mmsb.monoid("mine", turns.plus, 0, "i8")
    table, page = bus["t"], bus["a"]
    page.merge(1, op=mine)
    digest, epoch = bus.digest(), bus.epoch
    turns.is_bad = True
    merges: list[tuple[str, Any]] = [
        ("page 'a'", lambda: page.merge(1, op=mine)),
        ("page 'a'", lambda: page.merge([1, 2, 3], rows=[0, 1, 0], op=mine)),
        ("page 't', column 'w'", lambda: table["w"].merge(1, op=mine)),
        ("page 't', column 'v'", lambda: table.merge({"v": 1, "w": 2}, op=mine)),
    ]
    for whose, merge in merges:
        with pytest.raises(error, match=f"^{whose}: monoid 'mine': .*{message}") as caught:
            merge()
        if how == "raises":
            assert isinstance(caught.value.__cause__, LookupError)
        with pytest.raises(error), bus.transaction():
            page[0] = 99
            merge()
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    turns.is_bad = False
    page.merge(1, op=mine)
    assert page.array.tolist() == [3, 4, 5, 6]


def test_values_that_do_not_go_in_are_told_alike(bus: mmsb.Bus) -> None:
    mine, other = mmsb.monoid("mine", np.add, 0, "i8"), mmsb.monoid("other", np.add, 0, "i4")
    for whose, into in [("page 'a'", bus["a"]), ("page 't', column 'w'", bus["t"]["w"])]:
        for values, error in [
            (np.ones(4), mmsb.DtypeError),
            ([1 << 70] * 4, mmsb.DtypeError),
            ([1, 2], mmsb.ShapeError),
        ]:
            with pytest.raises(error, match=f"^{whose}: monoid 'mine': "):
                into.merge(values, op=mine)
        with pytest.raises(mmsb.DtypeError, match=f"^{whose}: monoid 'other' is on cells of int32"):
            into.merge(1, op=other)


def test_who_interrupts_a_merge_is_heard(bus: mmsb.Bus) -> None:
    stop = False

    def plus(a: Any, b: Any) -> Any:
        if stop:
            raise KeyboardInterrupt
        return a + b

    mine = mmsb.monoid("mine", plus, 0, "i8")
    stop, digest = True, bus.digest()
    with pytest.raises(KeyboardInterrupt):
        bus["a"].merge(1, op=mine)
    assert bus.digest() == digest
    stop = False
    bus["a"].merge(1, op=mine)
    assert bus["a"].array[0] == 2


FAR = np.iinfo("i8").max


def derived(bus: mmsb.Bus, kind: str, turns: Turns) -> tuple[mmsb.Page, list[str]]:
    """A page that follows from `a` by operations that may turn bad, and by which pages it does."""
    source = bus["a"]
    if kind == "matmul":
        square = bus.derive("square", lambda a: np.outer(a, a), inputs=[source], shape=(4, 4), dtype="i8")
        own = mmsb.semiring("mine", turns.plus, turns.times, 0, 1, "i8")
        return bus.derive("made", mmsb.matmul(square, source, semiring=own)), ["a", "square", "made"]
    if kind == "closure":
        columns = {"source": "i8", "target": "i8", "weight": "i8"}

        def edges(a: Any) -> Any:
            return {"source": np.zeros(4, "i8"), "target": np.arange(4), "weight": np.abs(a)}

        def length(a: Any, b: Any) -> Any:
            return np.where((a == FAR) | (b == FAR), FAR, a + b)

        roads = bus.derive("between", edges, inputs=[source], rows=4, columns=columns)
        ways = mmsb.semiring(
            "mine", turns.nearer, length, FAR, 0, "i8",
            claims="absorptive", domain=lambda a: (a == FAR) | (a >= 0) & (a < 1 << 60),
        )  # fmt: skip
        rule = mmsb.closure(roads, 0, vertices=4, semiring=ways)
    else:
        columns = {"v": "i8", "k": "i8"}
        table = bus.derive(
            "between", lambda a: {"v": a, "k": a % 2}, inputs=[source], rows=4, columns=columns
        )
        mine = mmsb.monoid("mine", turns.plus, 0, "i8")
        if kind == "reduce":
            rule = mmsb.reduce(table["v"], mine)
        else:
            rule = mmsb.reduce(table["v"], mine, by=table["k"], groups=2)
    return bus.derive("made", rule), ["a", "between", "made"]


@pytest.mark.parametrize(("how", "error", "message"), WAYS)
@pytest.mark.parametrize("kind", ["reduce", "reduce by key", "matmul", "closure"])
def test_a_rule_names_the_page_the_rule_and_the_way(
    bus: mmsb.Bus, kind: str, how: str, error: type[mmsb.MmsbError], message: str
) -> None:
    turns = Turns(how)
    made, path = derived(bus, kind, turns)
    digest, epoch, had = bus.digest(), bus.epoch, made.array.tolist()
    turns.is_bad = True
    with pytest.raises(mmsb.RuleError, match=rf"^page 'made', rule '.* by mine': .*{message}") as caught:
        bus["a"][:2] = 7
    assert (caught.value.page, caught.value.rule) == ("made", f"{kind.split()[0]} by mine")
    assert caught.value.path == path
    assert isinstance(caught.value.__cause__, LookupError if how == "raises" else error)
    assert (bus.digest(), bus.epoch, made.array.tolist()) == (digest, epoch, had)
    turns.is_bad = False
    bus["a"][:2] = 8
    assert bus.epoch == epoch + 1
    assert made.array.tolist() != had


@pytest.mark.parametrize("dtype", ["?", "i4", "u8", "f4", "f8"])
@pytest.mark.parametrize("name", ["prod", "or", "and", "xor", "logsum"])
def test_built_in_monoids_make_pages_too(bus: mmsb.Bus, name: str, dtype: str) -> None:
    """Those by which Rust has no reduction: with the bits of `mmsb.algebra.reduce`, also by key."""
    family = mmsb.monoid(name)
    cells = (np.random.default_rng(3).random((70, 3)) * 3).astype(dtype)
    keys = np.arange(70) * 7 % 5 - 1
    columns: Any = {"v": (dtype, (3,)), "k": "i8"}
    page = bus.create_page("page", rows=70, columns=columns)
    page["v"], page["k"] = cells, keys
    if np.dtype(dtype) not in family.dtypes:
        with pytest.raises(mmsb.DtypeError, match=f"monoid '{name}' is not for cells of"):
            mmsb.reduce(page["v"], family)
        return
    whole = bus.derive("whole", mmsb.reduce(page["v"], family))
    rows = bus.derive("rows", mmsb.reduce(page["v"], name, axis=0))
    inner = bus.derive("inner", mmsb.reduce(page["v"], family[dtype], axis=1))
    keyed = bus.derive("keyed", mmsb.reduce(page["v"], family, by=page["k"], groups=6))
    for _ in range(2):
        cells = page["v"].array
        assert whole.array == mmsb.algebra.reduce(cells, name)
        assert rows.array.tolist() == mmsb.algebra.reduce(cells, name, axis=0).tolist()
        assert inner.array.tolist() == mmsb.algebra.reduce(cells, name, axis=1).tolist()
        for group in range(6):
            wanted = mmsb.algebra.reduce(cells[keys == group], name, axis=0)
            assert keyed.array[group].tolist() == np.broadcast_to(wanted, 3).tolist()
        page["v"][5] = cells[6]
    assert bus.explain("keyed").rule == f"reduce by {name}"


def test_what_is_in_its_laws_lies_in_the_domain() -> None:
    """Of a monoid the identity, of a semiring zero and one."""

    def middle(a: Any) -> Any:
        return (a >= 1) & (a <= 50)

    with pytest.raises(mmsb.InvalidArgument, match=r"'x' on int64: its identity 0 is outside its domain"):
        mmsb.monoid("x", np.maximum, 0, "i8", domain=middle)
    with pytest.raises(mmsb.InvalidArgument, match=r"'x' on float64: its identity -1.0 is outside"):
        mmsb.monoid("x", np.maximum, -1.0, "f8", domain=lambda a: a >= 0)
    with pytest.raises(mmsb.InvalidArgument, match=r"'x' on int64: its zero 0 is outside its domain"):
        mmsb.semiring("x", np.maximum, np.minimum, 0, 50, "i8", domain=middle)
    with pytest.raises(mmsb.InvalidArgument, match=r"'x' on int64: its one 60 is outside its domain"):
        mmsb.semiring("x", np.maximum, np.minimum, 1, 60, "i8", domain=middle)
    assert mmsb.monoid("x", np.maximum, 1, "i8", domain=middle).identity == 1
    # Without one they are in it, whatever they are.
    assert np.isnan(mmsb.monoid("x", np.fmax, np.nan, "f8").identity)
