"""Products and closures by rules, against numpy after every change."""

from typing import Any

import numpy as np
import pytest

import mmsb


def min_plus(left: Any, right: Any) -> Any:
    """As `@`, with shortest ways."""
    return (left[:, :, None] + right[None]).min(axis=1)


def test_dense_products_follow_their_rows() -> None:
    """Of a vector and of a matrix, by plus_times and min_plus."""
    rng = np.random.default_rng(2)
    with mmsb.open() as bus:
        a = bus.create_page("a", data=rng.integers(0, 50, (20, 30)))
        v = bus.create_page("v", data=rng.integers(0, 50, 30))
        b = bus.create_page("b", data=rng.integers(0, 50, (30, 6)))
        plain = bus.derive("plain", mmsb.matmul(a, v))
        ways = bus.derive("ways", mmsb.matmul(a, b, semiring="min_plus"))
        for step in range(10):
            assert plain.array.tolist() == (a.array @ v.array).tolist()
            assert ways.array.tolist() == min_plus(a.array, b.array).tolist()
            page = (a, v, b)[step % 3]
            page[int(rng.integers(len(page)))] = rng.integers(0, 50)
        a[3, 4] = 49 - int(a.array[3, 4])
        (step_of,) = [step for step in bus.trace() if step.page == "plain"]
        assert step_of.rows_out <= 1


def test_sparse_products_follow_what_concerns_them() -> None:
    """CSR, by plus_times."""
    rng = np.random.default_rng(4)
    with mmsb.open() as bus:
        dense = rng.integers(-5, 6, (40, 25)).astype("f8") * (rng.random((40, 25)) < 0.2)
        rows, columns = np.nonzero(dense)
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=40))])
        entries = bus.create_page(
            "entries", data={"index": columns.astype("i4"), "value": dense[rows, columns]}
        )
        vector = bus.create_page("vector", data=rng.integers(0, 9, 25).astype("f8"))
        made = bus.derive("made", mmsb.spmv(bus.create_page("starts", data=starts), entries, vector))
        matrix = bus.create_page("matrix", data=rng.integers(0, 9, (25, 3)).astype("f8"))
        wide = bus.derive("wide", mmsb.spmv(bus["starts"], entries, matrix))
        own = mmsb.semiring("own", np.maximum, np.minimum, -np.inf, np.inf, "f8")
        by_own = bus.derive("by_own", mmsb.spmv(bus["starts"], entries, matrix, semiring=own))
        likewise = bus.derive("likewise", mmsb.spmv(bus["starts"], entries, matrix, semiring="max_min"))
        for _ in range(10):
            assert made.array.tolist() == (dense @ vector.array).tolist()
            assert wide.array.tolist() == (dense @ matrix.array).tolist()
            assert by_own.array.tolist() == likewise.array.tolist()
            at, cell = int(rng.integers(len(rows))), int(rng.integers(25))
            dense[rows[at], columns[at]] = 7
            entries["value"][at] = 7.0
            vector[cell] = float(rng.integers(0, 9))
            matrix[cell, 1] = float(rng.integers(0, 9))
            steps = {step.page: step.rows_out for step in bus.trace()}
            assert steps.get("wide", 0) <= np.count_nonzero(dense[:, cell])
    with mmsb.open() as bus:
        a = bus.create_page("a", shape=(3, 4), dtype="f8")
        v = bus.create_page("v", shape=(5,), dtype="f8")
        with pytest.raises(mmsb.RuleError, match=r"page 'x': .*4.*5"):
            bus.derive("x", mmsb.matmul(a, v))


def test_closures_keep_the_best_ways() -> None:
    """Shortest ways from one vertex and between all, and bottlenecks; edges come, go and change."""
    rng = np.random.default_rng(6)
    vertices, edges = 12, 40
    with mmsb.open() as bus:
        roads = bus.create_page("roads", rows=edges, columns={"source": "i4", "target": "i4", "weight": "i8"})
        far = np.iinfo("i8").max
        roads["source"] = rng.integers(-1, vertices, edges)
        roads["target"] = rng.integers(0, vertices, edges)
        roads["weight"] = rng.integers(1, 30, edges)
        every = bus.derive("every", mmsb.closure(roads, vertices=vertices))
        one = bus.derive("one", mmsb.closure(roads, 3, vertices=vertices))
        widest = bus.derive("widest", mmsb.closure(roads, [0, 3], vertices=vertices, semiring="max_min"))
        for _ in range(40):
            best = np.full((vertices, vertices), far // 4)
            wide = np.full((vertices, vertices), np.iinfo("i8").min)
            np.fill_diagonal(best, 0)
            np.fill_diagonal(wide, far)
            for a, b, w in zip(*(roads[name].array for name in roads.columns), strict=True):
                if a >= 0 and w < far:
                    best[a, b] = min(best[a, b], w)
                    wide[a, b] = max(wide[a, b], w)
            for via in range(vertices):
                best = np.minimum(best, best[:, via, None] + best[None, via])
                wide = np.maximum(wide, np.minimum(wide[:, via, None], wide[None, via]))
            wanted = np.where(best >= far // 4, far, best)
            assert every.array.tolist() == wanted.tolist()
            assert one.array.tolist() == wanted[3].tolist()
            if not (roads["weight"].array == far).any():
                assert widest.array.tolist() == wide[[0, 3]].tolist()
            at = int(rng.integers(edges))
            match rng.integers(3):
                case 0:
                    roads["weight"][at] = int(rng.integers(1, 30))
                case 1:
                    roads["source"][at] = int(rng.integers(-1, vertices))
                case _:
                    roads["weight"][at] = far if rng.random() < 0.2 else int(rng.integers(1, 30))
        digest = bus.digest()
        with pytest.raises(mmsb.RuleError, match="page 'every'"):
            roads["weight"][5] = -4
        assert bus.digest() == digest
        with pytest.raises(
            mmsb.RuleError, match="closure needs what the semiring plus_times on int64 is not"
        ):
            bus.derive("x", mmsb.closure(roads, vertices=vertices, semiring="plus_times"))
