"""Errors: one tree, the core's codes; for every bad input a sentence with its numbers, nothing changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb
from mmsb._core import error_codes
from mmsb.errors import BY_CODE


def test_python_has_the_codes_of_the_core() -> None:
    assert set(BY_CODE) == set(error_codes())
    for code, error in BY_CODE.items():
        assert error.code == code
        assert issubclass(error, mmsb.MmsbError)
        assert len([base for base in error.__mro__ if base.__module__ == "builtins"]) > 3, (
            "it resembles a built-in"
        )
        assert getattr(mmsb, error.__name__) is error
        assert error.__name__ in mmsb.__all__


def test_a_message_is_shown_as_it_is() -> None:
    with pytest.raises(KeyError) as caught:
        mmsb.open()["nope"]
    assert str(caught.value) == "no page named 'nope'"


@pytest.fixture
def bus() -> mmsb.Bus:
    bus = mmsb.open()
    bus.create_page("pos", shape=(1000, 3), dtype="f4")
    bus.create_page("book", rows=5, columns={"price": "f8", "qty": "i4"})
    bus["pos"][...] = 1
    return bus


def create(**options: Any) -> Callable[[mmsb.Bus], Any]:
    return lambda bus: bus.create_page("x", **options)


BAD: list[tuple[Callable[[mmsb.Bus], Any], type[Exception], str]] = [
    (lambda bus: bus["nope"], KeyError, "nope"),
    (lambda bus: bus[77], KeyError, "77"),
    (lambda bus: bus[1.5], TypeError, "float"),  # type: ignore[index]
    (lambda bus: bus["book"]["nope"], KeyError, "no column 'nope': it has price, qty"),
    (lambda bus: bus["book"].array, ValueError, "price, qty"),
    (lambda bus: bus.create_page("pos", shape=(1,), dtype="f4"), ValueError, "'pos' is taken"),
    (lambda bus: bus.create_page("", shape=(1,), dtype="f4"), ValueError, "empty"),
    (lambda bus: bus.create_page("x" * 256, shape=(1,), dtype="f4"), ValueError, "255"),
    (lambda bus: bus.create_page("a\0b", shape=(1,), dtype="f4"), ValueError, "NUL"),
    (lambda bus: bus.create_page(5, shape=(1,), dtype="f4"), TypeError, "int"),  # type: ignore[arg-type]
    (create(), ValueError, "nothing"),
    (create(shape=(1,), dtype="f4", size=5), ValueError, "shape and size"),
    (create(shape=(1,)), ValueError, "dtype"),
    (create(shape=(1,), dtype="object"), ValueError, "object"),
    (create(shape=(1,), dtype="U5"), TypeError, "U5"),
    (create(shape=(1,), dtype="M8[s]"), TypeError, "M8"),
    (create(shape=(1,), dtype="nonsense"), TypeError, "nonsense"),
    (create(shape=(-1,), dtype="f4"), ValueError, "-1 is negative"),
    (create(shape=(2, -3), dtype="f4"), ValueError, "-3 is negative"),
    (create(shape=(1.5,), dtype="f4"), ValueError, "1.5"),
    (create(shape=(3, 0), dtype="f4"), ValueError, "size 0"),
    (create(shape=(1 << 62, 1 << 62), dtype="f4"), ValueError, "1099511627776"),
    (create(shape=(1 << 70,), dtype="f4"), ValueError, "larger than any page"),
    (create(shape=(1 << 40,), dtype="f8"), ValueError, "1099511627776"),
    (create(rows=3, columns={f"c{n}": "f4" for n in range(1025)}), ValueError, "1025 columns"),
    (create(rows=3, columns={}), ValueError, "0 columns"),
    (create(columns={"a": "f4"}), ValueError, "rows"),
    (create(rows=3, columns=[("a", "f4"), ("a", "f8")]), ValueError, "two columns are named 'a'"),
    (create(size=-1), ValueError, "-1 is negative"),
    (create(shape=(3,), dtype="f4", op="nonsense"), ValueError, "nonsense"),
    (create(shape=(3,), dtype="f4", op="xor"), ValueError, "xor"),
    (create(data={"a": [1, 2], "b": [1]}), ValueError, "different lengths"),
    (create(data=[1, 2], size=5), ValueError, "data says"),
    (lambda bus: bus["pos"].__setitem__(slice(None), np.zeros((7, 7))), ValueError, r"\[7, 7\]"),
    (lambda bus: bus["pos"].__setitem__(5000, 1), IndexError, "5000 is out of range for axis 0 of size 1000"),
    (lambda bus: bus["pos"].__setitem__((0, 3), 1), IndexError, "3 is out of range for axis 1 of size 3"),
    (lambda bus: bus["pos"].__setitem__((0, 0, 0), 1), IndexError, "too many indices: 3 for 2 axes"),
    (lambda bus: bus["pos"].__setitem__([1, -1001], 1), IndexError, "-1001"),
    (lambda bus: bus["pos"].__setitem__(1.5, 1), IndexError, "float"),
    (lambda bus: bus["pos"].__setitem__("x", 1), KeyError, "x"),
    (lambda bus: bus["pos"].__setitem__(np.ones(7, bool), 1), IndexError, "7"),
    (lambda bus: bus["pos"].__setitem__((..., 0, ...), 1), IndexError, "Ellipsis"),
    (lambda bus: bus["pos"].__setitem__(np.zeros(3), 1), IndexError, "float64"),
    (lambda bus: bus["book"]["qty"].__setitem__(0, float("nan")), ValueError, "NaN cannot go where int32"),
    (lambda bus: bus["book"]["qty"].__setitem__(0, 1 << 31), OverflowError, "2147483648 does not fit int32"),
    (lambda bus: bus["book"].__setitem__(0, {"nope": 1}), KeyError, "nope"),
    (lambda bus: bus["book"].__setitem__(0, 5), TypeError, "structured"),
    (lambda bus: bus["pos"].merge(1), ValueError, "op="),
    (lambda bus: bus["pos"].merge(1, op="nonsense"), ValueError, "nonsense"),
    (lambda bus: bus["pos"].merge(1, op="xor"), ValueError, "xor"),
    (lambda bus: bus["pos"].resize(-1), ValueError, "negative"),
    (lambda bus: bus["pos"].resize(1 << 50), ValueError, "larger"),
    (lambda bus: bus.drop_page("nope"), KeyError, "nope"),
    (lambda bus: bus.at(10**9), KeyError, "1000000000"),
    (lambda bus: bus.at(-1), KeyError, "-1"),
    (lambda bus: bus.at(), ValueError, "epoch or a time"),
    (lambda bus: bus.checkout("nope"), KeyError, "nope"),
    (lambda bus: bus.merge(mmsb.open()), ValueError, "cannot merge"),
    (lambda bus: bus.merge(bus, on_conflict="maybe"), ValueError, "maybe"),  # type: ignore[arg-type]
    (lambda bus: bus.transaction(isolation="none"), ValueError, "none"),  # type: ignore[arg-type]
    (lambda bus: bus.transaction(durability="none"), ValueError, "none"),  # type: ignore[arg-type]
    (lambda bus: bus.transaction(intent={1j}), ValueError, "intent"),
]

# What is no part of a transaction and is refused in one.
OUTSIDE: list[tuple[Callable[[mmsb.Bus], Any], type[Exception], str]] = [
    (lambda bus: bus.revert(to=99), KeyError, "99"),
    (lambda bus: bus.branch("main"), ValueError, "main"),
    (lambda bus: bus.branch("x", at=99), KeyError, "99"),
    (lambda bus: bus.drop(), ValueError, "main"),
]


@pytest.mark.parametrize(("bad", "error", "words"), BAD + OUTSIDE)
def test_bad_input_is_refused_with_its_numbers(
    bus: mmsb.Bus, bad: Callable[[mmsb.Bus], Any], error: type[Exception], words: str
) -> None:
    before = bus.epoch, bus.digest(), bus._newest(), list(bus)
    with pytest.raises(mmsb.MmsbError, match=words) as caught:
        bad(bus)
    assert isinstance(caught.value, error)
    assert (bus.epoch, bus.digest(), bus._newest(), list(bus)) == before


@pytest.mark.parametrize(("bad", "error", "words"), BAD[:57])
def test_bad_input_in_a_transaction_leaves_the_rest_of_it(
    bus: mmsb.Bus, bad: Callable[[mmsb.Bus], Any], error: type[Exception], words: str
) -> None:
    with bus.transaction():
        bus["pos"][0, 0] = 5
        with pytest.raises(mmsb.MmsbError, match=words) as caught:
            bad(bus)
        assert isinstance(caught.value, error)
        bus["pos"][0, 1] = 6
    assert bus["pos"][0].tolist() == [5, 6, 1]
    assert bus.epoch == 4


@pytest.mark.parametrize(("call", "error", "words"), OUTSIDE)
def test_what_is_no_part_of_a_transaction_is_refused_in_one(
    bus: mmsb.Bus, call: Callable[[mmsb.Bus], Any], error: type[Exception], words: str
) -> None:
    with bus.transaction():
        bus["pos"][0, 0] = 5
        with pytest.raises(mmsb.WrongTransaction, match="outside"):
            call(bus)
    assert bus["pos"][0].tolist() == [5, 1, 1]
    with pytest.raises(error, match=words):
        call(bus)


def test_opening_what_is_not_there_or_no_bus(tmp_path: Path) -> None:
    with pytest.raises(mmsb.BusNotFound, match="nothing"):
        mmsb.open(tmp_path / "nothing", mode="r")
    with pytest.raises(mmsb.BusNotFound):
        mmsb.open(tmp_path / "nothing", mode="r+")
    assert not (tmp_path / "nothing").exists()
    mmsb.open(tmp_path / "bus").close()
    with pytest.raises(mmsb.BusExists):
        mmsb.open(tmp_path / "bus", mode="x")
    (tmp_path / "file").write_text("no bus")
    with pytest.raises(mmsb.NotABus, match="file is not a bus"):
        mmsb.open(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("no bus")
    with pytest.raises(mmsb.NotABus, match="folder is not a bus"):
        mmsb.open(tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["letter.txt"]
    for options in ({"mode": "w"}, {"durability": "none"}, {"arena": "moon"}, {"busy_timeout": -1}):
        with pytest.raises(mmsb.InvalidArgument):
            mmsb.open(**options)


def test_read_only_and_closed_handles(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    page = bus.create_page("p", shape=(3,), dtype="i4")
    bus.close()
    for use in (
        lambda: page.__setitem__(0, 1),
        lambda: page.array,
        lambda: page[0],
        lambda: bus["p"],
        lambda: bus.epoch,
        lambda: bus.snapshot(),
        lambda: bus.transaction().__enter__(),
        lambda: bus.digest(),
        lambda: list(bus),
    ):
        with pytest.raises(mmsb.ClosedError, match="closed"):
            use()
    bus.close()
    with mmsb.open(tmp_path / "bus", mode="r") as again:
        for write in (
            lambda: again["p"].__setitem__(0, 1),
            lambda: again.create_page("q", size=1),
            lambda: again.drop_page("p"),
            lambda: again.branch("b"),
            lambda: again.transaction().__enter__(),
            lambda: again.at(1)["p"].__setitem__(0, 1),
        ):
            with pytest.raises(mmsb.ReadOnlyError):
                write()
        assert again["p"].array.tolist() == [0, 0, 0]
