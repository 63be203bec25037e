"""`mmsb show` and `mmsb at`: buses, pages, cells, and what they were."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

import mmsb

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_a_bus(run: Run, path: str) -> None:
    out = run("show", path).stdout
    assert out.startswith(f"{path}: branch main at epoch 9, 4 pages\n")
    assert "float32[100, 3]" in out
    assert "price float64, qty int32, name S8, spot float32[2]" in out
    assert "what-if" in out
    assert "main at 7" in out


def test_a_bus_as_json(run_json: RunJson, path: str) -> None:
    shown = run_json("show", path, "--digest")
    with mmsb.open(path, mode="r") as bus:
        assert shown["digest"] == bus.digest()
    assert shown["epoch"] == 9
    assert [page["name"] for page in shown["pages"]] == ["pos", "book", "blob", "one"]
    assert shown["pages"][1] == {
        "id": 2,
        "name": "book",
        "kind": "table",
        "shape": [40],
        "columns": [
            {"name": "price", "dtype": "float64", "inner": []},
            {"name": "qty", "dtype": "int32", "inner": []},
            {"name": "name", "dtype": "S8", "inner": []},
            {"name": "spot", "dtype": "float32", "inner": [2]},
        ],
        "op": None,
        "bytes": 40 * 28,
        "version": 9,
    }
    assert {branch["name"]: branch["parent"] for branch in shown["branches"]} == {
        "main": None,
        "what-if": "main",
    }


def test_a_branch(run_json: RunJson, path: str) -> None:
    shown = run_json("show", path, "pos", "0", "--branch", "what-if")
    assert shown["cells"] == [[9, 9, 9]]


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [("5", [5]), ("2:4", [2, 3]), ("::40", [0, 40, 80]), ("1,4,7", [1, 4, 7]), ("98:", [98, 99])],
)
def test_rows(run_json: RunJson, path: str, rows: str, numbers: list[int]) -> None:
    assert run_json("show", path, "pos", rows)["rows"] == numbers


def test_rows_from_the_end(run: Run, path: str) -> None:
    out = run("show", "--", path, "book", "-2:").stdout
    assert "38" in out
    assert "39" in out
    assert "37" not in out


def test_all_rows_as_json_and_the_first_ones_as_a_table(run: Run, run_json: RunJson, path: str) -> None:
    assert len(run_json("show", path, "pos")["cells"]) == 100
    result = run("show", path, "pos")
    assert result.stderr == "80 more rows: say which, as in 20:\n"
    assert len([line for line in result.stdout.splitlines() if "[" in line]) == 21


def test_cells_of_every_kind(run: Run, run_json: RunJson, path: str) -> None:
    book = run_json("show", path, "book", "2:4")["cells"]
    assert book == {"price": [0, "nan"], "qty": [0, 1], "name": ["abc", ""], "spot": [[0, 0], [0, 0]]}
    assert run_json("show", path, "one")["cells"] == 7
    assert run("show", path, "one").stdout.endswith("\n7\n")
    dump = run("show", path, "blob").stdout.splitlines()
    assert dump[1] == "00000000  68 65 6c 6c 6f 20 00 01 20 77 6f 72 6c 64 2c 20  hello .. world, "
    assert dump[2].startswith("00000010  6d 6f 72 65")


def test_the_past(run: Run, run_json: RunJson, path: str) -> None:
    past = run_json("at", path, "4", "--digest")
    assert past["epoch"] == 4
    assert past["pages"][0]["version"] == 1
    with mmsb.open(path, mode="r") as bus:
        assert past["digest"] == bus.at(4).digest()
    assert run_json("at", path, "4", "pos", "10")["cells"] == [[0, 0, 0]]
    assert run_json("at", path, "5", "pos", "10")["cells"] == [[1.5, 1.5, 1.5]]
    assert "as at epoch 4, 4 pages" in run("at", path, "4").stdout
    assert "digest " + past["digest"] in run("at", path, "4", "--digest").stdout


def test_the_past_by_time(run_json: RunJson, path: str) -> None:
    with mmsb.open(path, mode="r") as bus:
        times = {entry.epoch: entry.time for entry in bus.log()}
    for late in ("2099-01-01", "2999-01-01", "9999-12-31T23:59:59", "9999-12-31T23:59:59-08:00"):
        assert run_json("at", path, late)["epoch"] == 9
    assert run_json("at", path, times[9].isoformat())["epoch"] in (8, 9)
    assert run_json("at", path, "1980-01-01T00:00:00+00:00")["epoch"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nope",), "page-not-found"),
        (("pos", "100"), "index-out-of-range"),
        (("pos", "1,100"), "index-out-of-range"),
        (("--branch", "nope"), "branch-not-found"),
    ],
)
def test_what_is_not_there(run: Run, path: str, arguments: tuple[str, ...], code: str) -> None:
    result = run("show", path, *arguments, code=1)
    assert result.stdout == ""
    assert result.stderr.startswith(f"mmsb: {code}: ")
    assert result.stderr.count("\n") == 1


def test_an_epoch_that_is_not_there(run: Run, path: str) -> None:
    assert run("at", path, "99", code=1).stderr.startswith("mmsb: epoch-not-found: no epoch 99")


def test_lines_that_make_no_sense(run: Run, path: str) -> None:
    assert "is no row" in run("show", path, "pos", "x", code=2).stderr
    assert "is no row" in run("show", path, "pos", "::0", code=2).stderr
    assert "neither an epoch" in run("at", path, "noon", code=2).stderr
    run("show", code=2)
    run("show", path, "--nope", code=2)


def test_the_digest_of_a_page_s_state(run: Run, run_json: RunJson, path: str) -> None:
    with mmsb.open(path, "r") as bus:
        digest = bus.at(7).digest()
        now = bus.digest()
    assert run("at", path, "7", "pos", "--digest").stdout.splitlines()[0] == f"digest {digest}"
    assert run_json("at", path, "7", "pos", "--digest", "--json")["digest"] == digest
    assert run("show", path, "pos", "--digest").stdout.splitlines()[0] == f"digest {now}"
