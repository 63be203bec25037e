"""The report of propagation beside its rivals: its targets, its oracles, and the page made of the results."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from flows import floors, matrices
from flows.declared import INPUTS, SOURCES, inputs
from flows.nets import agree, expected, net
from flows.subject import FLOWS
from flows.targets import ROWS
from flows.workloads import FAN, LINE, SEMIRINGS, WORKLOADS
from peers import brief, page
from peers.case import OURS
from peers.figure import Figure, read
from peers.stores import STORES
from peers.verdicts import judge

ROOT = Path(__file__).parents[1]
PARTS = [part for row in ROWS for part in row.parts]


def test_every_target_is_of_a_workload_there_is() -> None:
    assert {part.workload for part in PARTS} <= set(WORKLOADS)
    assert all(part.against is None or part.against[0] in WORKLOADS for part in PARTS)


def test_every_target_is_a_number() -> None:
    assert all((part.most is None) != (part.against is None) for part in PARTS)


def test_reasons_are_told_of_targets_there_are() -> None:
    assert set(floors.REASONS) <= {f"{part.workload}: {part.what}" for part in PARTS}


def test_what_is_said_is_what_is_judged() -> None:
    row = next(row for row in ROWS if row.operation.startswith("25-1000x5"))
    assert [part.most for part in row.parts] == pytest.approx(
        [20e-6, 6e-6, 65e-6, 20e-6, 50e-6, 16e-6, 200e-6, 45e-6]
    )


def test_small_and_large_pages_are_judged_apart() -> None:
    figures = [
        Figure("25-1000x5", OURS, "memory", "Rust", (19e-6,)),
        Figure("25-1000x5", f"{OURS}: pages of 64 B", "memory", "Rust", (51e-6,)),
        Figure("25-1000x5", "incremental", "memory", "Rust", (90e-6,)),
    ]
    found = [verdict for verdict in judge(figures, ROWS) if verdict.measured]
    assert [(verdict.part.what, verdict.word) for verdict in found] == [
        ("25-1000x5, 8 B", "met"),
        ("25-1000x5, 64 B", "MISSED"),
    ]
    assert all(verdict.rival is not None and verdict.rival.who == "incremental" for verdict in found)


@pytest.mark.parametrize(("name", "nodes"), [(LINE, 1000), (FAN, 1999)])
def test_nets_are_what_their_last_nodes_say(name: str, nodes: int) -> None:
    made = net(name)
    assert len(made) == nodes
    values = [7.0]
    for numbers, plus in made:
        assert max(numbers) < len(values)
        values.append(sum(values[number] for number in numbers) + plus)
    assert values[-1] == expected(name, 7.0)
    # Every node goes into the last one.
    assert {number for numbers, _ in made for number in numbers} == set(range(len(made)))
    with pytest.raises(AssertionError, match="ends with"):
        agree(values[-1] + 1, name, 7.0)


@pytest.mark.parametrize("semiring", SEMIRINGS)
def test_products_are_those_of_a_plain_loop(semiring: str) -> None:
    starts, columns, values = matrices.sparse(64)
    vector = matrices.vectors(64)[0]
    bring: dict[str, Callable[[list[float]], float]] = {"plus_times": sum, "min_plus": min, "max_plus": max}
    wanted = np.zeros(64)
    for row, (first, end) in enumerate(pairwise(starts)):
        assert (np.diff(columns[first:end]) > 0).all()
        pairs = zip(values[first:end], vector[columns[first:end]], strict=True)
        wanted[row] = bring[semiring]([a * b if semiring == "plus_times" else a + b for a, b in pairs])
    matrices.agree(semiring, matrices.product(semiring, 64, vector), wanted)
    with pytest.raises(AssertionError):
        matrices.agree(semiring, matrices.product(semiring, 64, vector) + 1, wanted)


def test_a_frontier_gets_better_at_every_step() -> None:
    before = matrices.vectors(1024)[0][matrices.chosen(100, 1024)]
    for step in range(3):
        after = matrices.better(100, 1024, step)
        assert (after < before).all()
        before = after


def test_pages_follow_from_three_others_before_them() -> None:
    for i in range(SOURCES, SOURCES + 1000):
        assert len(set(inputs(i))) == INPUTS
        assert max(inputs(i)) < i


def test_marks_of_both_tables_differ() -> None:
    assert FLOWS.begin != STORES.begin


def test_the_page_says_what_the_results_say() -> None:
    about, figures = read(ROOT / "docs" / "flows.json")
    assert {figure.workload for figure in figures} <= set(WORKLOADS)
    text = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    assert page.render(FLOWS, about, figures, "flows.json", "flows") == text


def test_the_readme_says_what_was_measured() -> None:
    about, figures = read(ROOT / "docs" / "flows.json")
    assert brief.block(FLOWS, about, figures) in (ROOT / "README.md").read_text(encoding="utf-8")
