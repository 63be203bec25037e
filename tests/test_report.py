"""The report of the benches: what it reads, what it puts side by side, how it writes numbers."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benches" / "report.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = load()


def criterion(run: Path, who: str, each: list[float]) -> None:
    """Results as criterion writes them; `each` in ns for one step, over 10 and 20 steps in turn."""
    folder = run / "criterion" / "commit" / "256 B" / who.replace(":", "_") / "new"
    folder.mkdir(parents=True)
    iters = [10.0 * (1 + i % 2) for i in range(len(each))]
    times = [t * n for t, n in zip(each, iters, strict=True)]
    (folder / "benchmark.json").write_text(
        json.dumps({"group_id": "commit", "function_id": "256 B", "value_str": who})
    )
    (folder / "sample.json").write_text(json.dumps({"times": times, "iters": iters}))
    (folder / "estimates.json").write_text(
        json.dumps({"median": {"point_estimate": sorted(each)[len(each) // 2]}})
    )


def python(run: Path, medians: dict[str, float]) -> None:
    """Results as pytest-benchmark writes them, in seconds."""
    benchmarks = [
        {
            "group": "view",
            "extra_info": {"workload": "4 KiB", "who": who},
            "stats": {"q1": median / 2, "median": median, "q3": median * 2},
        }
        for who, median in medians.items()
    ]
    (run / "python.json").write_text(json.dumps({"benchmarks": benchmarks}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for number, (ours, limit) in enumerate([(400, 100), (300, 150), (900, 90)], 1):
        run = tmp_path / str(number)
        criterion(run, "mmsb", [ours - 20.0, ours - 10.0, ours, ours + 10.0, ours + 20.0])
        criterion(run, "limit: memcpy", [limit] * 5)
        python(run, {"mmsb": 2e-7 * number, "rival: copy": 1e-3, "limit: call": 1e-7})
    return tmp_path


def test_both_kinds_of_results_are_read(runs: Path) -> None:
    figures = report.read(runs)
    assert len(figures) == 3 * 5
    rust = next(f for f in figures if f.language == "Rust" and f.who == "mmsb" and f.run == "2")
    assert (rust.operation, rust.workload) == ("commit", "256 B")
    assert [rust.low, rust.median, rust.high] == pytest.approx([2.85e-7, 3e-7, 3.15e-7])
    python = next(f for f in figures if f.language == "Python" and f.who == "mmsb" and f.run == "3")
    assert [python.low, python.median, python.high] == pytest.approx([3e-7, 6e-7, 12e-7])


def test_times_are_the_best_and_ratios_are_taken_inside_a_run(runs: Path) -> None:
    commit, *views = report.compare(report.read(runs))
    assert commit.ours.median == pytest.approx(3e-7)
    assert commit.other.median == pytest.approx(9e-8)
    assert commit.ratios == pytest.approx([4, 2, 10])
    assert [row.other.who for row in views] == ["rival: copy", "limit: call"]


def test_a_figure_that_stands_alone_is_refused(tmp_path: Path) -> None:
    criterion(tmp_path / "1", "mmsb", [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="commit / 256 B: needs"):
        report.compare(report.read(tmp_path))


def test_the_table_has_a_line_for_each_comparison(runs: Path) -> None:
    figures = report.read(runs)
    lines = report.table(report.compare(figures)).splitlines()
    assert len(lines) == 2 + 3
    line = "| Rust | **commit** | 256 B | 300 ns | 285 ns to 315 ns | limit: memcpy | 90 ns | 4 | 2 to 10 |"
    assert lines[2] == line
    assert len({line.count("|") for line in lines}) == 1
    assert len(report.raw_table(figures).splitlines()) == 1 + len(figures)


def test_every_operation_has_its_figures() -> None:
    lines = (ROOT / "docs" / "measurements.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert {line.split("\t")[2] for line in lines if line.split("\t")[1] == "Rust"} == set(report.OPERATIONS)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.234e-9, "1.23 ns"), (9.996e-7, "1 us"), (1.5e-6, "1.5 us"), (0.0123, "12.3 ms"), (2.0, "2 s")],
)
def test_durations(seconds: float, said: str) -> None:
    assert report.duration(seconds) == said


@pytest.mark.parametrize(("value", "said"), [(0.00051, "1/1961"), (0.25, "0.25"), (1.0, "1"), (250.4, "250")])
def test_ratios(value: float, said: str) -> None:
    assert report.ratio(value) == said
