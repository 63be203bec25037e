"""Pages that follow by users' monoids and semirings, against numpy and the built-in rules."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb

FAR = np.iinfo("i8").max


def length(a: Any, b: Any) -> Any:
    return np.where((a == FAR) | (b == FAR), FAR, a + b)


def lengths(a: Any) -> Any:
    return (a == FAR) | ((a >= 0) & (a < 1 << 60))


WAYS = mmsb.semiring("ways", np.minimum, length, FAR, 0, "i8", claims="absorptive", domain=lengths)
PLAIN = mmsb.semiring("plain", np.add, np.multiply, 0, 1, "i8")
GCD = mmsb.monoid("gcd", np.gcd, 0, "i8", claims="idempotent", domain=lambda a: (a >= 0) & (a < 1 << 60))
SUM = mmsb.monoid("mine", np.add, 0.0, "f8")


def test_products_follow_by_a_semiring_of_ones_own() -> None:
    rng = np.random.default_rng(2)
    with mmsb.open() as bus:
        a = bus.create_page("a", data=rng.integers(0, 50, (20, 30)))
        v = bus.create_page("v", data=rng.integers(0, 50, 30))
        b = bus.create_page("b", data=rng.integers(0, 50, (30, 6)))
        pages = [
            (bus.derive("mine", mmsb.matmul(a, b, semiring=WAYS)), "theirs", (b, "min_plus")),
            (bus.derive("plain", mmsb.matmul(a, v, semiring=PLAIN)), "other", (v, "plus_times")),
        ]
        pairs = [
            (page, bus.derive(name, mmsb.matmul(a, right, semiring=semiring)))
            for page, name, (right, semiring) in pages
        ]
        for step in range(12):
            for mine, theirs in pairs:
                assert mine.array.tolist() == theirs.array.tolist()
            page = (a, v, b)[step % 3]
            page[int(rng.integers(len(page)))] = rng.integers(0, 50)
        assert "matmul by ways" in str(bus.explain("mine"))


def test_sparse_products_follow_by_a_semiring_of_ones_own() -> None:
    rng = np.random.default_rng(4)
    with mmsb.open() as bus:
        there = rng.random((40, 25)) < 0.2
        rows, columns = np.nonzero(there)
        starts = bus.create_page("starts", data=np.concatenate([[0], np.cumsum(there.sum(axis=1))]))
        values = rng.integers(0, 90, len(rows))
        entries = bus.create_page("entries", data={"index": columns.astype("i4"), "value": values})
        vector = bus.create_page("vector", data=rng.integers(0, 9, 25))
        mine = bus.derive("mine", mmsb.spmv(starts, entries, vector, semiring=WAYS))
        theirs = bus.derive("theirs", mmsb.spmv(starts, entries, vector, semiring="min_plus"))
        for _ in range(10):
            assert mine.array.tolist() == theirs.array.tolist()
            entries["value"][int(rng.integers(len(rows)))] = int(rng.integers(0, 90))
            vector[int(rng.integers(25))] = int(rng.integers(0, 9))


def test_reductions_follow_by_a_monoid_of_ones_own() -> None:
    rng = np.random.default_rng(5)
    with mmsb.open() as bus:
        kinds = rng.integers(-1, 4, 50)
        book = bus.create_page("book", data={"kind": kinds, "qty": rng.integers(0, 90, 50) * 6})
        grid = bus.create_page("grid", data=rng.normal(size=(100, 7)))
        whole = bus.derive("whole", mmsb.reduce(book["qty"], GCD))
        each = bus.derive("each", mmsb.reduce(book["qty"], GCD, by=book["kind"], groups=5))
        down = bus.derive("down", mmsb.reduce(grid, SUM, axis=0))
        along = bus.derive("along", mmsb.reduce(grid, SUM, axis=-1))
        theirs = bus.derive("theirs", mmsb.reduce(grid, mmsb.monoid("min"), axis=0))
        for _ in range(10):
            qty, kind = book["qty"].array, book["kind"].array
            assert whole.array == np.gcd.reduce(qty)
            wanted = [np.gcd.reduce(qty[kind == n], initial=0) for n in range(5)]
            assert each.array.tolist() == wanted
            assert np.allclose(down.array, grid.array.sum(axis=0))
            assert np.allclose(along.array, grid.array.sum(axis=1))
            assert theirs.array.tolist() == grid.array.min(axis=0).tolist()
            at = int(rng.integers(50))
            book["qty"][at] = int(rng.integers(0, 90))
            book["kind"][at] = int(rng.integers(-1, 5))
            grid[at] = rng.normal(size=7)
        with pytest.raises(mmsb.RuleError, match=r"row 3 is of group 7, and there are 5"):
            book["kind"][3] = 7


def test_closures_follow_by_a_semiring_of_ones_own() -> None:
    rng = np.random.default_rng(6)
    vertices, edges = 12, 40
    with mmsb.open() as bus:
        roads = bus.create_page("roads", rows=edges, columns={"source": "i4", "target": "i4", "weight": "i8"})
        roads["source"] = rng.integers(-1, vertices, edges)
        roads["target"] = rng.integers(0, vertices, edges)
        roads["weight"] = rng.integers(1, 30, edges)
        pairs = []
        for number, start in enumerate((None, 3, [0, 5])):
            mine = mmsb.closure(roads, start, vertices=vertices, semiring=WAYS)
            theirs = mmsb.closure(roads, start, vertices=vertices)
            pairs.append((bus.derive(f"mine{number}", mine), bus.derive(f"theirs{number}", theirs)))
        for _ in range(30):
            for one, other in pairs:
                assert one.array.tolist() == other.array.tolist()
            at = int(rng.integers(edges))
            match rng.integers(3):
                case 0:
                    roads["weight"][at] = int(rng.integers(0, 30))
                case 1:
                    roads["source"][at] = int(rng.integers(-1, vertices))
                case _:
                    roads["weight"][at] = FAR if rng.random() < 0.2 else int(rng.integers(1, 30))
        for name in ("theirs0", "theirs1", "theirs2"):
            bus.release(name)
        digest = bus.digest()
        with pytest.raises(
            mmsb.RuleError, match="weight -4 of row 5 is outside the domain of the semiring ways"
        ):
            roads["weight"][5] = -4
        with pytest.raises(mmsb.RuleError, match="which is not from 0 to below 12"):
            roads["target"][5] = 12
        assert bus.digest() == digest


def test_a_closure_names_what_a_semiring_lacks() -> None:
    """And ends where a claim that no sample refuted is wrong."""
    with mmsb.open() as bus:
        roads = bus.create_page("roads", rows=2, columns={"source": "i4", "target": "i4", "weight": "i8"})
        epoch = bus.epoch
        with pytest.raises(
            mmsb.RuleError,
            match=r"^page 'd': closure needs what the semiring plain on int64 is not: absorptive, idemp",
        ) as caught:
            bus.derive("d", mmsb.closure(roads, vertices=3, semiring=PLAIN))
        assert (caught.value.page, caught.value.rule) == ("d", "closure by plain")
        assert "d" not in bus
        assert bus.epoch == epoch
        only = mmsb.semiring("only", np.minimum, length, FAR, 0, "i8", claims="idempotent", domain=lengths)
        with pytest.raises(mmsb.RuleError, match=r"is not: absorptive$"):
            bus.derive("d", mmsb.closure(roads, vertices=3, semiring=only))
        loose = mmsb.semiring(
            "loose", np.minimum, lambda a, b: np.where((a == FAR) | (b == FAR), FAR, a + b),
            FAR, 0, "i8", claims="absorptive", domain=lambda a: lengths(a) | (a == -77_777),
        )  # fmt: skip
        roads["source"], roads["target"] = [0, 1], [1, 0]
        bus.derive("ways", mmsb.closure(roads, 0, vertices=3, semiring=loose))
        with pytest.raises(mmsb.RuleError, match="does not end: after 3 rounds ways still change"):
            roads["weight"] = [-77_777, -77_777]


def test_what_does_not_fit_is_refused_as_it_is_declared() -> None:
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(3, 4), dtype="f8")
        b = bus.create_page("b", shape=(3, 4), dtype="i8")
        edges = bus.create_page("edges", rows=2, columns={"source": "i4", "target": "f8", "weight": "i8"})
        with pytest.raises(mmsb.DtypeError, match="'a' is of float64, and the semiring 'ways' on int64"):
            mmsb.matmul(a, a, semiring=WAYS)
        with pytest.raises(mmsb.ShapeError, match=r"\(3, 4\) cannot be multiplied with \(3, 4\)"):
            mmsb.matmul(b, b, semiring=WAYS)
        with pytest.raises(mmsb.DtypeError, match="'a' is of float64, and the monoid 'gcd' on int64"):
            mmsb.reduce(a, GCD)
        with pytest.raises(mmsb.InvalidArgument, match="axis 2 of 2 axes"):
            mmsb.reduce(b, GCD, axis=2)
        with pytest.raises(mmsb.DtypeError, match="column 'target' of float64 where integers"):
            mmsb.closure(edges, vertices=3, semiring=WAYS)
        with pytest.raises(mmsb.IndexOutOfRange, match="start 3 of 3 vertices"):
            mmsb.closure(edges, 3, vertices=3, semiring=WAYS, target="source")
        with pytest.raises(mmsb.ShapeError, match="one axis, and one or two"):
            mmsb.spmv(b, edges, bus.create_page("v", shape=(2, 2), dtype="i8"), semiring=WAYS, value="weight",
                      index="source")  # fmt: skip
        with pytest.raises(mmsb.DtypeError, match="semiring 'min_plus' is on cells of int32, not of int64"):
            mmsb.matmul(b, b, semiring=mmsb.semiring("min_plus")["i4"])
        with pytest.raises(mmsb.DtypeError, match="monoid 'sum' is on cells of int32, not of float64"):
            mmsb.reduce(a, mmsb.monoid("sum")["i4"])
        with pytest.raises(mmsb.DtypeError, match="semiring 'max_min' is on cells of float32, not of int64"):
            mmsb.closure(edges, vertices=3, semiring=mmsb.semiring("max_min")["f4"])
        assert sorted(bus) == ["a", "b", "edges", "v"]


def test_merges_by_a_monoid_of_ones_own() -> None:
    with mmsb.open() as bus:
        page = bus.create_page("page", data=np.array([12, 18, 30, 7]))
        page.merge(np.array([8, 27, 45, 0]), op=GCD)
        assert page.array.tolist() == [4, 9, 15, 7]
        page.merge([6, 6, 10], rows=[0, 1, 2], op=GCD)
        assert page.array.tolist() == [2, 3, 5, 7]
        page[...] = 60
        page.merge([36, 24, 90, 28], rows=[1, 1, 0, 1], op=GCD)
        assert page.array.tolist() == [30, 4, 60, 60]
        page.merge(9, rows=slice(2, None), op=GCD)
        page.merge(6, rows=np.array([False, False, True, False]), op=GCD)
        assert page.array.tolist() == [30, 4, 3, 3]
        page.merge(5, rows=0, op=GCD)
        page.merge(4, op=mmsb.monoid("sum"))
        assert page.array.tolist() == [9, 8, 7, 7]
        page.merge(2, op=mmsb.monoid("prod")["i8"])
        assert page.array.tolist() == [18, 16, 14, 14]


def test_merges_into_columns_are_one_epoch() -> None:
    with mmsb.open() as bus:
        book = bus.create_page("book", data={"a": np.arange(4) * 6, "b": np.arange(8).reshape(4, 2) * 10})
        epoch = bus.epoch
        book.merge({"a": [4, 9], "b": [[15, 15], [35, 7]]}, rows=[1, 3], op=GCD)
        assert bus.epoch == epoch + 1
        assert book["a"].array.tolist() == [0, 2, 12, 9]
        assert book["b"].array.tolist() == [[0, 10], [5, 15], [40, 50], [5, 7]]
        with bus.transaction() as tx:
            book["a"][0] = 12
            book["a"].merge(np.array([8, 2]), rows=np.array([0, 0]), op=GCD)
            assert book["a"].array[0] == 2
        assert tx.epoch == epoch + 2
        grid = bus.create_page("grid", data=np.full((2, 3), 36))
        grid.merge([24, 27], rows=([1, 1], [2, 2]), op=GCD)
        assert grid.array.tolist() == [[36, 36, 36], [36, 36, 3]]


def test_no_merge_is_lost_in_a_race() -> None:
    adding = mmsb.monoid("adding", np.add, 0, "i8")
    with mmsb.open() as bus:
        page = bus.create_page("page", shape=(3,), dtype="i8")

        def work() -> None:
            for _ in range(20):
                page.merge([1, 2], rows=[0, 1], op=adding)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert page.array.tolist() == [60, 120, 0]


def test_a_merge_is_replayed_without_its_monoid(tmp_path: Path) -> None:
    calls = [0]

    def plus(a: Any, b: Any) -> Any:
        calls[0] += 1
        return np.gcd(a, b)

    mine = mmsb.monoid("mine", plus, 0, "i8", domain=lambda a: (a >= 0) & (a < 1 << 60))
    path = tmp_path / "bus"
    with mmsb.open(path) as bus:
        page = bus.create_page("page", data=np.arange(9) * 12)
        page.merge(30, rows=slice(1, 5), op=mine)
        wanted, digest = page.array.tolist(), bus.digest()
    calls[0] = 0
    with mmsb.open(path) as bus:
        assert bus["page"].array.tolist() == wanted
        assert bus.digest() == digest
        assert bus.at(1)["page"].array.tolist() == (np.arange(9) * 12).tolist()
    assert calls[0] == 0


def test_merges_that_do_not_fit_are_refused() -> None:
    with mmsb.open() as bus:
        page = bus.create_page("page", shape=(4,), dtype="i8")
        book = bus.create_page("book", rows=3, columns={"a": "i8", "b": "f8"})
        digest = bus.digest()
        with pytest.raises(mmsb.ShapeError, match="'page'"):
            page.merge([1, 2, 3], op=GCD)
        with pytest.raises(mmsb.DtypeError, match="monoid 'mine' is on cells of float64, not of int64"):
            page.merge(1, op=SUM)
        with pytest.raises(mmsb.DtypeError, match="'page'"):
            page.merge(np.array([1.5]), op=GCD)
        with pytest.raises(mmsb.IndexOutOfRange):
            page.merge(1, rows=[9], op=GCD)
        with pytest.raises(mmsb.DtypeError, match="'mine' is on cells of float64, not of int64"):
            book.merge({"b": 1.0, "a": 1}, op=SUM)
        with pytest.raises(mmsb.MmsbError, match="columns"):
            book.merge(1, op=GCD)
        with pytest.raises(mmsb.PageNotFound, match="nope"):
            book.merge({"nope": 1}, op=GCD)
        with pytest.raises(mmsb.InvalidArgument, match="operator is named by a string"):
            page.merge(1, op=5)  # type: ignore[arg-type]
        with bus.snapshot() as past, pytest.raises(mmsb.ReadOnlyError):
            past["page"].merge(1, op=GCD)
        assert bus.digest() == digest


def test_a_rule_of_ones_own_is_not_stored(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    with mmsb.open(path) as bus:
        page = bus.create_page("page", data=np.array([12, 18]))
        bus.derive("made", mmsb.reduce(page, GCD))
    with mmsb.open(path) as bus:
        assert bus["made"].array == 6
        bus.derive("made", mmsb.reduce(bus["page"], GCD))
        bus["page"][0] = 4
        assert bus["made"].array == 2
