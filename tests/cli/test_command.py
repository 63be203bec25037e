"""The command as a whole: help, version, errors, exit codes, branches, completion; as a process, too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import mmsb
from mmsb.cli.app import COMMANDS

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def process(
    *arguments: str, environment: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """`mmsb` as a process."""
    command = [sys.executable, "-c", "from mmsb.cli import main; main()", *arguments]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, **options)


def test_help_and_version(run: Run) -> None:
    assert run("--version").stdout == f"mmsb {mmsb.__version__}\n"
    assert "found something wrong" in run("--help").stdout
    for command in COMMANDS:
        assert command.name is not None
        out = run(command.name, "--help").stdout
        assert "--json" in out
        assert "..." not in command.get_short_help_str(60)
    run("nope", code=2)


@pytest.mark.parametrize("command", ["show", "log", "branch"])
def test_no_bus_at_the_path(run: Run, tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    assert run(command, gone, code=1).stderr.startswith("mmsb: not-found: there is no bus at ")
    assert not gone.exists()
    (tmp_path / "file").write_text("no bus")
    assert run(command, tmp_path / "file", code=1).stderr.startswith("mmsb: ")


def test_branches(run: Run, run_json: RunJson, path: str) -> None:
    assert [branch["name"] for branch in run_json("branch", path)["branches"]] == ["main", "what-if"]
    assert run("branch", path, "--create", "b", "--at", "5").stdout.startswith("branch b made at epoch 5\n")
    assert run("branch", path, "--create", "b", code=1).stderr.startswith("mmsb: branch-exists: ")
    made = run_json("branch", path, "--create", "c", "--from", "what-if")["branches"]
    assert {"name": "c", "epoch": 8, "parent": "what-if", "forked_at": 8} in made
    assert run("branch", path, "--drop", "b").stdout.startswith("branch b dropped\n")
    assert run("branch", path, "--drop", "b", code=1).stderr.startswith("mmsb: branch-not-found: ")
    assert run("branch", path, "--create", "d", "--at", "99", code=1).stderr.startswith(
        "mmsb: epoch-not-found: "
    )
    run("branch", path, "--create", "d", "--drop", "c", code=2)
    run("branch", path, "--at", "3", code=2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, run_json: RunJson, shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_MMSB_COMPLETE" in script
    assert "mmsb" in script
    assert run_json("completion", shell) == {"shell": shell, "script": script.removesuffix("\n")}
    run("completion", "cmd", code=2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mmsb sh", ["show"]),
        ("mmsb show {path} b", ["book", "blob"]),
        ("mmsb log {path} --page po", ["pos"]),
        ("mmsb show {path} --branch w", ["what-if"]),
        ("mmsb diff {path} m", ["main"]),
        ("mmsb show nowhere b", []),
    ],
)
def test_completion(path: str, words: str, expected: list[str]) -> None:
    given = {"COMP_WORDS": words.format(path=path), "COMP_CWORD": str(len(words.split()) - 1)}
    done = process(environment={"_MMSB_COMPLETE": "bash_complete", **given})
    assert done.stderr == ""
    assert [line.removeprefix("plain,") for line in done.stdout.split()] == expected


def test_as_a_process(path: str) -> None:
    done = process("show", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["epoch"] == 9
    done = process("show", path + "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("mmsb: not-found: ")
    assert process("show").returncode == 2


def test_a_reader_that_goes_away(path: str) -> None:
    code = "import sys; from mmsb.cli import main; main()"
    command = f"'{sys.executable}' -c '{code}' log {path} --all | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    assert "Traceback" not in done.stderr


ODD = "a\nb\x1b[31m\t\u202e\u061cc\x9b"
SHOWN = r"a\nb\x1b[31m\t\u202e\u061cc\x9b"


def test_names_that_would_break_a_line(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    path = str(tmp_path / "odd.mmsb")
    with mmsb.open(path) as bus:
        bus.create_page(ODD, rows=2, columns={ODD: "S8", "b": "i4"})
        with bus.transaction(source=ODD, intent={ODD: ODD}):
            bus[ODD][ODD] = b"x\ny"
        bus.branch(ODD)
    for line, found in (
        (("show", path), 3),
        (("show", path, ODD), 3),
        (("log", path), 4),
        (("diff", path, "1", "2"), 2),
        (("diff", path, "1", ODD, "--cells"), 6),
        (("at", path, ODD), 3),
        (("branch", path), 1),
        (("branch", path, "--create", ODD + "x"), 3),
    ):
        out = run(*line).stdout
        assert out.count(SHOWN) == found, line
        assert not set(out) & set("\x1b\t\u202e\u061c\x9b")
    assert r"x\ny" in run("show", path, ODD).stdout
    assert run("show", path, ODD + "nope", code=1).stderr.count("\n") == 1
    assert run_json("show", path)["pages"][0]["name"] == ODD


@pytest.mark.parametrize(
    ("words", "expected"),
    [("mmsb show {path} a", ["ab"]), ("mmsb at {path} b", ["branch"]), ("mmsb diff {path} 1 b", ["branch"])],
)
def test_completion_has_a_name_a_line(tmp_path: Path, words: str, expected: list[str]) -> None:
    path = str(tmp_path / "odd.mmsb")
    with mmsb.open(path) as bus:
        for name in ("a\nb", "ab"):
            bus.create_page(name, size=1)
        bus.branch("branch")
    given = {"COMP_WORDS": words.format(path=path), "COMP_CWORD": str(len(words.split()) - 1)}
    done = process(environment={"_MMSB_COMPLETE": "bash_complete", **given})
    assert [line.removeprefix("plain,") for line in done.stdout.split()] == expected


def test_names_that_look_like_markup(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "odd.mmsb")
    with mmsb.open(path) as bus:
        bus.create_page("[bold]x[/bold] :smile:", data=[1, 2])
    assert "[bold]x[/bold] :smile:" in run("show", path).stdout
    assert "create [bold]x[/bold] :smile:" in run("log", path).stdout
