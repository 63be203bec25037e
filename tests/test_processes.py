"""The report of state shared between processes: its targets, what it checks, and the processes it runs."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from peers import brief, page
from peers.case import MACHINE, OURS, QUICK, Case, Place
from peers.figure import Figure, read
from peers.runner import measure
from peers.verdicts import judge
from processes import crew, opened, seen, state, together
from processes.party import Party, Task
from processes.rivals import with_shared
from processes.state import Following, Unseen, number_of
from processes.subject import PROCESSES
from processes.targets import ASYNC, ROWS
from processes.workloads import WORKLOADS
from processes.workloads import seen as seen_key

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "processes.json"
LOCKED = Party("locked", with_shared.locked, with_shared.Writes, with_shared.Locks)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, "", QUICK)
    with made.after:
        yield made


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "COUNTS", {})


def test_every_target_is_of_a_workload_there_is() -> None:
    assert {part.workload for row in ROWS for part in row.parts} <= set(WORKLOADS)


def test_notes_are_of_workloads_there_are() -> None:
    assert set(PROCESSES.notes) <= set(WORKLOADS)


def test_waiting_in_asyncio_is_judged_apart() -> None:
    key = seen_key(True, "8 B", "p50")
    figures = [Figure(key, OURS, "", "Python", (16e-6,)), Figure(key, ASYNC, "", "Python", (49e-6,))]
    found = [verdict for verdict in judge(figures, ROWS) if verdict.measured]
    assert [(verdict.part.what, verdict.word) for verdict in found] == [
        ("Python, blocked", "MISSED"),
        ("Python, asyncio", "met"),
    ]


def test_what_may_be_torn_is_no_rival() -> None:
    key = seen_key(False, "8 B", "p50")
    without = Figure(key, f"{MACHINE}: shared_memory, no lock", "", "Python", (1e-6,))
    figures = [Figure(key, OURS, "", "Python", (4e-6,)), without]
    (verdict,) = [verdict for verdict in judge(figures, ROWS) if verdict.measured]
    assert verdict.rival is None


def test_a_case_may_give_figures_of_several_workloads(tmp_path: Path) -> None:
    case = Case("commit", "somebody", "", lambda _: {"commit": [1.0, 2.0], "snapshot": [3.0]})
    figures, _ = measure(case, False, QUICK, tmp_path)
    assert [(figure.workload, figure.samples) for figure in figures] == [
        ("commit", (1.0, 2.0)),
        ("snapshot", (3.0,)),
    ]


@pytest.mark.parametrize("words", [1, 2, 512])
def test_a_whole_state_has_its_number(words: int) -> None:
    assert number_of(state.state(words, 7)) == 7


@pytest.mark.parametrize("words", [slice(0, 1), slice(200, 201), slice(511, 512), slice(0, 256)])
def test_a_torn_state_has_none(words: slice) -> None:
    torn = state.state(512, 7)
    torn[words] = 8
    assert number_of(torn) is None


def test_what_is_seen_is_noted_once() -> None:
    following = Following(1)
    for number in (1, 2, 2, 3, 3):
        following.note(state.state(4, number))
    assert (following.number, following.looks, following.torn, len(following.times)) == (3, 2, 0, 2)


def test_a_torn_state_is_counted() -> None:
    following = Following(1)
    following.note(np.array([2, 1, 1, 1], "uint64"))
    assert (following.number, following.torn) == (2, 1)


@pytest.mark.parametrize("number", [2, 5])
def test_a_state_that_is_old_or_follows_too_late_is_an_error(number: int) -> None:
    with pytest.raises(AssertionError, match=f"state {number} came after 3"):
        Following(3).note(state.state(4, number))


def test_a_state_that_is_never_seen_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "PATIENCE", 0.0)
    with pytest.raises(Unseen, match="state 2 was not seen"):
        Following(1).note(state.state(4, 1))


def test_torn_states_are_told_first_and_are_an_error_of_whoever_promises_none() -> None:
    state.count("whole", "spinning", 10, 0, False)
    state.count("whole", "waiting", 5, 0, False)
    state.count("careless", "spinning", 1000, 2, True)
    state.count("careless", "spinning", 1000, 1, True)
    state.count("careless", "waiting", 7, 0, True)
    assert state.counted() == [
        "careless, spinning: **3 torn** of 2,000",
        "whole: none torn of 15 states looked at",
        "careless, otherwise: none torn of 7 states looked at",
    ]
    with pytest.raises(AssertionError, match="1 of 10 states were torn"):
        state.count("whole", "spinning", 10, 1, False)


def test_a_process_that_fails_is_told_of_with_its_error(at: Place) -> None:
    member = crew.Crew(at).start("reader", crew.Line.hear, "one argument too many")
    with pytest.raises(crew.Failed, match=r"the reader: TypeError: .*hear"):
        crew.hear([member])


def test_a_process_that_is_killed_is_told_of_while_others_go_on(at: Place) -> None:
    together = crew.Crew(at)
    writer, reader = together.start("writer", crew.Line.hear), together.start("reader", crew.Line.hear)
    assert reader.process.pid
    os.kill(reader.process.pid, signal.SIGKILL)
    with pytest.raises(crew.Failed, match="the reader ended with -9"):
        crew.hear([writer, reader])


@pytest.mark.parametrize("waits", [True, False])
def test_every_change_is_seen_by_another_process(at: Place, waits: bool) -> None:
    took = seen.measure(at, LOCKED, seen.Series(Task(512, 1, waits), 10, 2))
    assert took.shape == (2, 10)
    (counted,) = state.counted()
    assert counted == "locked: none torn of 30 states looked at"


def test_a_writer_and_its_readers_are_counted(at: Place) -> None:
    found = together.measure(at, LOCKED, together.Slices(Task(512, 2), 0.05, 2))
    assert len(found) == 2
    assert all(each.writes and each.reads and each.seconds >= 0.05 for each in found)


def test_a_large_state_is_opened_and_read(at: Place) -> None:
    found, added = opened.measure(at, LOCKED, 1 << 17)
    assert min(found.first, found.scanned, found.again) > 0
    assert abs(added) < 64 << 20


@pytest.mark.skipif(not RESULTS.exists(), reason="nothing was measured yet")
def test_the_page_and_the_readme_say_what_the_results_say() -> None:
    about, figures = read(RESULTS)
    assert {figure.workload for figure in figures} <= set(WORKLOADS)
    text = RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert page.render(PROCESSES, about, figures, RESULTS.name, "processes") == text
    assert brief.block(PROCESSES, about, figures) in (ROOT / "README.md").read_text(encoding="utf-8")
