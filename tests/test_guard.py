"""The guard of the hot paths: how it reads what callgrind wrote, what it lets pass, and what it says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def load() -> Any:
    path = ROOT / "benches" / "guard" / "guard.py"
    spec = importlib.util.spec_from_file_location("guard", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["guard"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


guard = load()

UNDER = {"rustc": "1.95", "valgrind": "3.19", "Python": "3.11"}
WRITTEN = """\
# callgrind format
positions: line
events: Ir
ob=(1) /lib/core.so
fl=(1) commit.rs
fn=(1) mmsb::commit::h0123456789abcdef
10 100
+2 20
cfn=(2) memcpy
cob=(2) /lib/libc.so
calls=3 0
12 999
* 5
fn=(3) 0x00000000000f1ab0
12 7
ob=(2)
fn=(2)
1 50
fn=(4) mmsb::commit::h0123456789abcdef'2
-3 1
totals: 183
"""


def guarded(
    total: dict[str, float], functions: dict[str, dict[str, float]] | None = None, **under: str
) -> Any:
    each = {name: {"all": value} for name, value in total.items()}
    return guard.Guarded(UNDER | under, total, functions or each)


def verdicts(before: Any, now: Any) -> dict[str, str]:
    return {row.operation: row.verdict for row in guard.compare(before, now)}


def test_functions_are_counted_without_what_they_call() -> None:
    assert guard.self_counts(WRITTEN) == {"mmsb::commit": 126, "core.so": 7, "memcpy": 50}
    assert guard.total(WRITTEN) == 183


def test_a_small_change_passes() -> None:
    told, passes = guard.report(guarded({"commit": 1000.0}), guarded({"commit": 1015.0}))
    assert passes
    assert "+1.5%" in told
    assert "guard: passes" in told


@pytest.mark.parametrize(("now", "verdict"), [(1030.0, "MORE"), (970.0, "FEWER")])
def test_an_operation_that_moved_fails_and_is_explained(now: float, verdict: str) -> None:
    before = guarded({"commit": 1000.0, "view": 5.0}, {"commit": {"crc": 200.0, "copy": 800.0}, "view": {}})
    after = {"commit": {"crc": 200.0, "copy": now - 300, "new": 100.0}, "view": {}}
    told, passes = guard.report(before, guarded({"commit": now, "view": 5.0}, after))
    assert not passes
    assert verdicts(before, guarded({"commit": now, "view": 5.0})) == {"commit": verdict, "view": ""}
    explained = told.split("\n\n")[1].splitlines()
    assert explained[0] == f"commit: 1000 -> {now:.0f}"
    assert explained[1].split()[1:] == ["-", "->", "100", "new"] or "copy" in explained[1]
    assert not any("crc" in line for line in explained)
    assert "make guard-accept" in told


def test_new_and_missing_operations_fail() -> None:
    before, now = guarded({"commit": 9.0, "view": 5.0}), guarded({"commit": 9.0, "diff": 5.0})
    assert verdicts(before, now) == {"commit": "", "diff": "NEW", "view": "GONE"}
    told, passes = guard.report(before, now)
    assert not passes
    assert re.search(r"^view +5 +- +GONE$", told, re.MULTILINE)


def test_under_another_compiler_nothing_fails_and_it_is_said_loudly() -> None:
    told, passes = guard.report(guarded({"commit": 100.0}), guarded({"commit": 200.0}, rustc="1.96"))
    assert passes
    assert "NOT GUARDED: 1 of 1 operations" in told
    assert "rustc: 1.95 -> 1.96" in told
    assert "+100.0%  other machinery" in told


def test_another_python_matters_to_its_calls_alone() -> None:
    before = guarded({"commit": 100.0, "Python: commit": 100.0})
    now = guarded({"commit": 200.0, "Python: commit": 200.0}, Python="3.12")
    assert verdicts(before, now) == {"commit": "MORE", "Python: commit": "other machinery"}


def test_what_is_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BASELINE", tmp_path / "baseline.tsv")
    monkeypatch.setattr(guard, "FUNCTIONS", tmp_path / "functions.tsv")
    functions = {"commit": {"a": 90.0, "below one percent": 0.1}, "view": {"b": 0.25}}
    guard.write(guarded({"commit": 100.5, "view": 0.25}, functions))
    found = guard.read((tmp_path / "baseline.tsv").read_text(), (tmp_path / "functions.tsv").read_text())
    kept = {"commit": {"a": 90.0}, "view": {"b": 0.25}}
    assert found == guard.Guarded(UNDER, {"commit": 100.5, "view": 0.25}, kept)


def test_the_baseline_has_the_operations_there_are() -> None:
    files = (guard.BASELINE, guard.FUNCTIONS)
    baseline = guard.read(*(path.read_text(encoding="utf-8") for path in files))
    assert list(baseline.under) == ["rustc", "valgrind", "C library", "processor", "Python"]
    assert set(baseline.functions) == set(baseline.total)
    core = {
        name
        for path in sorted((ROOT / "benches" / "guard").glob("*.rs"))
        for name in re.findall(r'\boperation\(\s*"([^"]+)"', path.read_text(encoding="utf-8"))
    }
    listed = [sys.executable, str(guard.CALLS), "list"]
    calls = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(baseline.total) == core | {line.split("\t")[0] for line in calls}
