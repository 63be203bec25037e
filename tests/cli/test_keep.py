"""`mmsb checkpoint`, `prune`, `export`, `verify` and `doctor`: quick to open, small, copied, sound."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import mmsb

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def damage(path: str) -> None:
    """Flip a bit in what is known to be on the disk."""
    with mmsb.open(path) as bus:
        bus.sync()
    (segment,) = sorted(Path(path).glob("log/*"))[:1]
    data = bytearray(segment.read_bytes())
    used = len(data.rstrip(b"\0"))
    data[used - 300] ^= 4
    segment.write_bytes(data)


def test_checkpoint(run: Run, run_json: RunJson, path: str) -> None:
    made = run_json("checkpoint", path)
    assert list(made) == ["path", "epoch", "seq", "bytes", "reused"]
    assert made["epoch"] == 9
    assert made["bytes"] > 0
    result = run("checkpoint", path)
    assert result.stdout.startswith("checkpoint at epoch 9: ")
    assert result.stderr == "", "no bar where there is no terminal"


def test_prune(run: Run, run_json: RunJson, path: str) -> None:
    assert run_json("prune", path)["first"] == 0, "without a checkpoint nothing goes"
    run("checkpoint", path)
    with mmsb.open(path) as bus:
        bus["one"][()] = 8
        digest = bus.digest()
    run("checkpoint", path)
    assert run_json("prune", path, "--keep-checkpoints", "2")["checkpoints"] == 0
    assert "history starts at epoch" in run("prune", path).stdout
    with mmsb.open(path, mode="r") as bus:
        assert bus.digest() == digest
        assert bus["one"][()] == 8


def test_export(run: Run, run_json: RunJson, path: str, tmp_path: Path) -> None:
    target = tmp_path / "copy.mmsb"
    said = run_json("export", path, target)
    assert said == {"path": path, "target": str(target), "epoch": 9, "pages": 4}
    assert run_json("show", target, "--digest")["digest"] == run_json("show", path, "--digest")["digest"]
    assert run("export", path, target, code=1).stderr.startswith("mmsb: exists: ")
    assert "4 pages at epoch 9" in run("export", path, tmp_path / "other.mmsb").stdout


def test_a_sound_bus(run: Run, run_json: RunJson, path: str) -> None:
    report = run_json("verify", path)
    assert list(report) == ["path", "ok", "findings", "frames", "segments", "checkpoints", "bytes"]
    assert (report["ok"], report["findings"]) == (True, [])
    assert report["frames"] >= 9
    assert "all is well" in run("verify", path).stdout
    assert run_json("doctor", path) == {"path": path, "ok": True, "findings": [], "salvaged": []}
    assert run("doctor", path, "--salvage").stdout == f"{path}: all is well\n"


def test_a_damaged_bus(run: Run, run_json: RunJson, path: str) -> None:
    damage(path)
    report = run_json("verify", path, code=1)
    assert not report["ok"]
    assert report["findings"]
    assert report["findings"][0] in run("verify", path, code=1).stdout
    assert run("show", path, code=1).stderr.startswith("mmsb: corrupt-log: ")
    assert "--salvage" in run("doctor", path, code=1).stdout
    run("show", path, code=1)
    assert run_json("doctor", path, "--salvage", code=1)["salvaged"]
    assert run_json("show", path)["epoch"] < 9
    assert run_json("verify", path)["ok"]


@pytest.mark.parametrize("command", ["checkpoint", "prune", "verify", "doctor"])
def test_no_bus(run: Run, path: str, command: str) -> None:
    assert run(command, path + "x", code=1).stderr.startswith("mmsb: not-found: ")


def test_what_makes_no_sense(run: Run, path: str) -> None:
    run("prune", path, "--keep-checkpoints", "0", code=2)
    run("export", path, code=2)
    assert run("export", path + "x", path + "y", code=1).stderr.startswith("mmsb: not-found: ")


def test_somebody_is_writing(run: Run, path: str) -> None:
    with mmsb.open(path) as bus:
        bus["one"][()] = 10
        assert run("show", path).stdout
