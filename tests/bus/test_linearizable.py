"""Eight processes commit to one bus and look at it, all at once: it is as if they had taken turns."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import player
import pytest
from history import PAGES, Operation, State, fingerprint, overlaps, parse, states, violations

import mmsb

OPERATIONS = int(os.environ.get("MMSB_OPERATIONS", "150"))
"""Of each process."""
WRITERS, READERS = 4, 4

History = list[Operation]


@pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")
@pytest.mark.timeout(60 + OPERATIONS)
def test_what_processes_do_at_once_comes_to_one_order(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    with bus.transaction():
        for name, rows in PAGES.items():
            bus.create_page(name, shape=(rows,), dtype="i8")
    branches = {"main": bus, "side": bus.branch("side")}
    epochs = {name: branch.epoch for name, branch in branches.items()}
    start: State = {name: (bus[name].version, bus[name].array.copy()) for name in PAGES}

    history = together(path, ["a"] * WRITERS + ["r"] * READERS)
    assert len(history) == (WRITERS + READERS) * OPERATIONS
    assert violations(history, epochs, start) == []
    assert overlaps(history) > len(history) // 10, "who does nothing at the same time shows nothing"

    wanted = {name: states(history, name, epochs[name], start) for name in branches}
    for name, branch in branches.items():
        commits = [one for one in history if (one.kind, one.branch) == ("commit", name)]
        assert branch.epoch == max(wanted[name]) == epochs[name] + len(commits)
        assert branch["counter"][0] == sum(page == "counter" for one in commits for page, *_ in one.written)
        differing = [epoch for epoch in wanted[name] if pages(branch.at(epoch)) != wanted[name][epoch]]
        assert not differing
    bus.close()
    # Once more from the files.
    with mmsb.open(path, mode="r") as bus:
        for name in branches:
            assert pages(bus.checkout(name).snapshot()) == wanted[name][max(wanted[name])]


def together(path: Path, modes: list[str]) -> History:
    """What players did to the bus, a process for each mode, all let go at once."""
    command = [sys.executable, player.__file__, str(path)]
    players = [
        subprocess.Popen(
            [*command, str(number), str(OPERATIONS), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, mode in enumerate(modes, 1)
    ]
    try:
        for one in players:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in players:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        said = [one.communicate()[0] for one in players]
    finally:
        for one in players:
            one.kill()
            one.communicate()
    assert [one.returncode for one in players] == [0] * len(modes)
    return [operation for lines in said for operation in parse(lines.splitlines())]


def pages(state: mmsb.Snapshot) -> dict[str, str]:
    """A fingerprint of every page."""
    return {name: fingerprint(state[name].version, state[name].array) for name in PAGES}


# --- the checker itself: a history without fault, and each fault put into it

FIRST = 5
START: State = {name: (FIRST, np.zeros(rows, np.int64)) for name, rows in PAGES.items()}


def without_fault() -> History:
    """Two processes: one counts and fills by turns, the other looks at each epoch as soon as it is there."""
    history = []
    for n in range(6):
        epoch, now = FIRST + 1 + n, 100 * n
        read = [] if n % 2 else [("counter", 0, n // 2)]
        written = [("large", 0, 5000, 10_000 * n)] if n % 2 else [("counter", 0, 1, n // 2 + 1)]
        history.append(Operation(1, "commit", "main", now, now + 10, epoch, read, written))
        history.append(Operation(2, "view", "main", now + 20, now + 30, epoch))
        history.append(Operation(2, "past", "main", now + 40, now + 50, epoch - 1))
    is_state = states(history, "main", FIRST, START)
    return [one if one.read or one.written else saw(one, is_state[one.epoch]) for one in history]


def saw(one: Operation, seen: dict[str, str]) -> Operation:
    return dataclasses.replace(one, seen=seen)


def found(history: History) -> list[str]:
    return violations(history, {"main": FIRST}, START)


def commits(history: History) -> list[int]:
    """Where they are in the history."""
    return [at for at, one in enumerate(history) if one.kind == "commit"]


def views(history: History) -> list[int]:
    return [at for at, one in enumerate(history) if one.kind == "view"]


def two_commits_are_swapped(history: History) -> None:
    one, other = commits(history)[2:4]
    a, b = history[one], history[other]
    history[one] = dataclasses.replace(a, epoch=b.epoch)
    history[other] = dataclasses.replace(b, epoch=a.epoch)


def two_commits_are_one_epoch(history: History) -> None:
    one, other = commits(history)[2:4]
    history[other] = dataclasses.replace(history[other], epoch=history[one].epoch)


def an_epoch_is_nobodys(history: History) -> None:
    del history[commits(history)[3]]


def a_view_is_stale(history: History) -> None:
    one, other = views(history)[2:4]
    late = history[other]
    history[other] = dataclasses.replace(history[one], began=late.began, ended=late.ended)


def a_view_is_of_the_future(history: History) -> None:
    one, other = views(history)[2:4]
    early = history[one]
    history[one] = dataclasses.replace(history[other], began=early.began, ended=early.ended)


def a_view_has_half_a_commit(history: History) -> None:
    at = views(history)[3]
    before = history[views(history)[2]].seen
    history[at] = saw(history[at], {**history[at].seen, "large": before["large"]})


def a_view_lacks_a_page(history: History) -> None:
    at = views(history)[3]
    history[at] = saw(history[at], {name: page for name, page in history[at].seen.items() if name != "cells"})


def an_update_is_lost(history: History) -> None:
    at = commits(history)[2]
    history[at] = dataclasses.replace(history[at], read=[("counter", 0, 0)], written=[("counter", 0, 1, 1)])


def a_past_state_is_another(history: History) -> None:
    at = views(history)[3] + 1
    assert history[at].kind == "past"
    history[at] = saw(history[at], history[views(history)[3]].seen)


def a_version_is_wrong(history: History) -> None:
    at = views(history)[3]
    version, digest = history[at].seen["counter"].split()
    history[at] = saw(history[at], {**history[at].seen, "counter": f"{int(version) - 1} {digest}"})


def test_a_history_without_fault_passes() -> None:
    assert found(without_fault()) == []


def test_who_overlaps_a_commit_may_see_it_or_not() -> None:
    history = without_fault()
    at = commits(history)[3]
    history[at] = dataclasses.replace(history[at], ended=history[at].began + 25)
    assert found(history) == []
    before = history[views(history)[2]]
    late = history[views(history)[3]]
    history[views(history)[3]] = dataclasses.replace(before, began=late.began, ended=late.ended)
    assert found(history) == []


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (two_commits_are_swapped, "began when epoch 9 was there"),
        (two_commits_are_one_epoch, "is not the only one"),
        (an_epoch_is_nobodys, "nobody made epoch 9"),
        (a_view_is_stale, "view of epoch 8 on 'main' by process 2 began when epoch 9 was there"),
        (a_view_is_of_the_future, "commit of epoch 9 on 'main' by process 1 began when epoch 9 was there"),
        (a_view_has_half_a_commit, "saw large as"),
        (a_view_lacks_a_page, "saw cells as None"),
        (an_update_is_lost, "read 0 in counter[0] and wrote over 1"),
        (a_past_state_is_another, "the past of epoch 8 on 'main' by process 2 saw large"),
        (a_version_is_wrong, "saw counter as 7"),
    ],
)
def test_a_fault_is_found(spoil: Callable[[History], None], word: str) -> None:
    history = without_fault()
    spoil(history)
    assert any(word in one for one in found(history)), found(history)
