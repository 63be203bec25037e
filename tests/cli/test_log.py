"""`mmsb log` and `mmsb diff`: what was done, and what differs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import mmsb

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def epochs(result: Result) -> list[int]:
    return [json.loads(line)["epoch"] for line in result.stdout.splitlines()]


def test_a_commit_a_line(run: Run, path: str) -> None:
    lines = run("log", path).stdout.splitlines()
    assert len(lines) == 9
    assert "physics" in lines[4]
    assert "assign pos, assign book[qty]" in lines[4]
    assert '{"why": "integrate [x]"}' in lines[4]
    assert "create blob, assign blob" in lines[2]
    assert "add book[qty]" in lines[6]


def test_a_record_a_line(run: Run, path: str) -> None:
    records = [json.loads(line) for line in run("log", path, "--json").stdout.splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 10))
    keys = ["epoch", "seq", "branch", "time", "time_ns", "source", "intent", "durability", "bytes", "deltas"]
    assert list(records[4]) == keys
    assert records[4]["intent"] == {"why": "integrate [x]"}
    assert records[4]["deltas"][1]["page"] == "book"
    assert records[4]["deltas"][1]["op"] == "assign"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--page", "book"], [2, 5, 7, 8, 9]),
        (["--source", "physics"], [5]),
        (["--since", "8"], [8, 9]),
        (["--until", "2"], [1, 2]),
        (["--since", "4", "--until", "5"], [4, 5]),
        (["--limit", "3"], [7, 8, 9]),
        (["--page", "book", "--limit", "2", "--until", "8"], [7, 8]),
        (["--since", "8", "--limit", "5"], [8, 9]),
        (["--since", "12"], []),
        (["--branch", "what-if"], [1, 2, 3, 4, 5, 6, 7, 8]),
        (["--branch", "what-if", "--limit", "1"], [8]),
        (["--since", "2000-01-01"], list(range(1, 10))),
        (["--until", "2000-01-01"], []),
        (["--since", "2099-01-01", "--limit", "4"], []),
    ],
)
def test_filters(run: Run, path: str, arguments: list[str], expected: list[int]) -> None:
    assert epochs(run("log", path, *arguments, "--json")) == expected


def test_the_newest_of_a_long_log(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "long.mmsb")
    with mmsb.open(path) as bus:
        page = bus.create_page("pos", shape=(4,), dtype="i4")
        with bus.transaction(source="first"):
            page[0] = 1
        for i in range(700):
            page[1] = i
    assert epochs(run("log", path, "--limit", "2", "--json")) == [701, 702]
    assert epochs(run("log", path, "--limit", "300", "--json")) == list(range(403, 703))
    assert epochs(run("log", path, "--source", "first", "--limit", "3", "--json")) == [2]
    table = run("log", path)
    assert len(table.stdout.splitlines()) == 50
    assert "the newest 50" in table.stderr
    assert len(run("log", path, "--all").stdout.splitlines()) == 702


def test_difference_of_epochs(run: Run, run_json: RunJson, path: str) -> None:
    found = run_json("diff", path, "4", "7")
    assert found["before"] == {"branch": "main", "epoch": 4}
    assert [(page["page"], page["rows"], page["cells"]) for page in found["pages"]] == [
        ("pos", [[10, 20]], 30),
        ("book", [[1, 2], [3, 7]], 5),
        ("one", [[0, 1]], 1),
    ]
    assert "changes" not in found["pages"][0]
    assert "10:20" in run("diff", path, "4", "7").stdout
    assert [page["page"] for page in run_json("diff", path, "4", "7", "--page", "one")["pages"]] == ["one"]
    assert run("diff", path, "7", "7").stdout == "no difference between 7 and 7\n"


def test_difference_of_branches_by_cells(run: Run, run_json: RunJson, path: str) -> None:
    pages = run_json("diff", path, "main", "what-if", "--cells")["pages"]
    assert pages[0]["changes"][1] == {"column": "value", "cell": [0, 1], "before": 0, "after": 9}
    assert pages[1]["changes"] == [
        {"column": "price", "cell": [3], "before": "nan", "after": 0},
        {"column": "name", "cell": [2], "before": "abc", "after": ""},
    ]
    result = run("diff", path, "main", "what-if", "--cells", "--limit", "4")
    assert "book[price]" in result.stdout
    assert result.stderr == "1 more cell: --limit N shows so many\n"


def test_pages_that_come_go_and_grow(run: Run, run_json: RunJson, path: str) -> None:
    with mmsb.open(path) as bus:
        bus.drop_page("one")
        bus["pos"].resize(120)
        bus.create_page("new", data=[1, 2])
    pages = {page["page"]: page for page in run_json("diff", path, "9", "12", "--cells")["pages"]}
    assert {name: page["kind"] for name, page in pages.items()} == {
        "one": "dropped",
        "pos": "changed",
        "new": "created",
    }
    assert pages["one"]["changes"] == [{"column": "value", "cell": [0], "before": 7, "after": None}]
    assert pages["new"]["changes"][1] == {"column": "value", "cell": [1], "before": None, "after": 2}
    assert pages["pos"]["resized"] == [100, 120]
    assert "resized 100 to 120" in run("diff", path, "9", "12", "--cells").stdout
    back = {page["page"]: page for page in run_json("diff", path, "12", "9", "--cells")["pages"]}
    assert back["pos"]["resized"] == [120, 100]


def test_what_makes_no_sense(run: Run, path: str) -> None:
    assert "no branch of this bus" in run("diff", path, "nope", "4", code=2).stderr
    assert "exclude" in run("log", path, "--all", "--limit", "3", code=2).stderr
    assert run("log", path, "--page", "nope", code=1).stderr == "mmsb: page-not-found: no page named 'nope'\n"
    assert run("diff", path, "1", "99", code=1).stderr.startswith("mmsb: epoch-not-found: ")


def test_a_page_that_is_not_there(run: Run, path: str) -> None:
    for line in (
        ("diff", path, "4", "7", "--page", "nope"),
        ("diff", path, "4", "7", "--page", "nope", "--json"),
        ("log", path, "--page", "nope", "--json"),
        ("show", path, "nope"),
        ("at", path, "4", "nope"),
    ):
        result = run(*line, code=1)
        assert result.stdout == ""
        assert result.stderr.startswith("mmsb: page-not-found: no page named 'nope'")
    with mmsb.open(path) as bus:
        bus.drop_page("one")
    assert "dropped" in run("diff", path, "9", "10", "--page", "one").stdout
    assert "no difference" in run("diff", path, "9", "10", "--page", "pos").stdout


def test_branches_called_like_moments(run: Run, run_json: RunJson, path: str) -> None:
    with mmsb.open(path) as bus:
        for name in ("7", "2026-01-01", "epoch:5", "branch:x"):
            bus.branch(name, at=2)
    for name in ("7", "2026-01-01", "branch:7", "branch:epoch:5", "branch:branch:x"):
        said = run_json("diff", path, name, "9")["before"]
        assert said == {"branch": name.removeprefix("branch:"), "epoch": 2}
        assert run_json("at", path, name)["branch"] == name.removeprefix("branch:")
    for given, epoch in (("epoch:7", 7), ("epoch:5", 5), ("time:2999-01-01", 9), ("5", 5)):
        assert run_json("diff", path, given, "9")["before"] == {"branch": "main", "epoch": epoch}
        assert run_json("at", path, given)["epoch"] == epoch
    assert "2 pages" in run("at", path, "7").stdout
    assert run("at", path, "branch:nope", code=1).stderr.startswith("mmsb: branch-not-found: ")
    for given in ("epoch:noon", "epoch:2026-01-01", "time:7", "nope"):
        assert "is neither an epoch" in run("at", path, given, code=2).stderr
    assert run_json("at", path, "3", "--branch", "what-if")["branch"] == "what-if"


def test_commits_of_an_intent(run: Run, path: str) -> None:
    with mmsb.open(path) as bus:
        for intent in ("tidy up", {"run": 7, "why": "x=y"}, {"run": "a"}):
            with bus.transaction(intent=intent):
                bus["one"][()] = bus["one"][()] + 1
    for given, wanted in (
        ("why=integrate [x]", [5]),
        ("tidy up", [10]),
        ('"tidy up"', [10]),
        ("run=7", [11]),
        ("why=x=y", [11]),
        ('{"run": 7}', [11]),
        ("run=a", [12]),
        ("run=8", []),
    ):
        assert epochs(run("log", path, "--json", "--intent", given)) == wanted, given
    assert len(run("log", path, "--intent", "run=7").stdout.splitlines()) == 1
