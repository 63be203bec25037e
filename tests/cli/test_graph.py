"""`mmsb graph` and `mmsb trace`: what follows from what, and what did."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import Result

import mmsb

Run = Callable[..., Result]


@pytest.fixture
def ruled(tmp_path: Path) -> str:
    """A bus in which pages follow from others."""
    path = str(tmp_path / "ruled")
    with mmsb.open(path) as bus:
        a = bus.create_page("a", shape=(4,), dtype="f8")
        bus.create_page('odd "name"', shape=(), dtype="f8")
        double = bus.derive("double", mmsb.col(a) * 2)
        bus.derive("total", mmsb.reduce(double, "sum"), after='odd "name"')
        bus.derive("mean", mmsb.reduce(a, "mean"))
        a[1] = 3
        a[0] = 0
    return path


def test_a_tree_has_each_page_below_what_it_follows_from(run: Run, ruled: str) -> None:
    lines = run("graph", ruled).stdout.splitlines()
    assert lines == [
        "a",
        "  double = value",
        "    total = sum",
        "  mean = mean",
        'odd "name"',
        "  total = sum (control)",
    ]


def test_for_graphviz_and_as_a_picture(run: Run, ruled: str) -> None:
    dot = run("graph", ruled, "--format", "dot").stdout
    assert dot.startswith("digraph mmsb {")
    assert 'odd \\"name\\"' in dot
    assert dot.count("->") == 4
    picture = ElementTree.fromstring(run("graph", ruled, "--format", "svg").stdout)
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}rect")) == 5
    assert len(picture.findall(f"{space}line")) == 4
    made: dict[str, Any] = json.loads(run("graph", ruled, "--json").stdout)
    assert {page["page"] for page in made["pages"]} == {"a", 'odd "name"', "double", "total", "mean"}


def test_what_followed_is_in_the_log(run: Run, ruled: str, path: str) -> None:
    lines = run("trace", ruled, "--json").stdout.splitlines()
    last = [json.loads(line) for line in lines if json.loads(line)["epoch"] == 6]
    assert [(one["page"], one["causes"]) for one in last] == [
        ("double", ["a"]),
        ("mean", ["a"]),
        ("total", ["double"]),
    ]
    assert "because of a" in run("trace", ruled, "6").stdout
    assert run("trace", ruled, "7").stdout == ""
    assert "nothing followed" in run("trace", path).stderr
    assert "no page follows" in run("graph", path).stderr


def test_a_deep_chain_is_told_by_numbers(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "deep")
    with mmsb.open(path) as bus, bus.transaction():
        last = bus.create_page("p0", shape=(1,), dtype="f8")
        for number in range(1, 300):
            last = bus.derive(f"p{number}", mmsb.col(last) + 1)
    lines = run("graph", path).stdout.splitlines()
    assert len(lines) == 300
    assert lines[40] == "  " * 40 + "p40 = value"
    assert lines[299] == "  " * 40 + "(299) p299 = value"
