"""The report of the runs beside rivals: its figures, its verdicts, and the page made of the results."""

from pathlib import Path

import pytest

from peers import brief, page
from peers.case import MACHINE, OURS
from peers.figure import Figure, join, parse, read, write
from peers.stores import STORES
from peers.targets import ROWS
from peers.verdicts import judge, many, size
from peers.workloads import SYNC, WORKLOADS

ROOT = Path(__file__).parents[1]
ABOUT = {
    "scale": "full",
    "date": "2026-01-02",
    "commit": "abc",
    "processor": "P",
    "cores": 2,
    "memory": "1 GiB",
    "kernel": "Linux",
    "files": "ext4",
    "load before": [0.1],
    "load after": [0.2],
    "minutes": 3,
    "versions": {"mmsb": "1"},
    "absent": {"redis": "no server"},
    "method": {"rounds": 1},
    "promises": {"mmsb disk": "synced"},
}


def figure(workload: str, who: str, level: str, *samples: float, language: str = "Rust") -> Figure:
    return Figure(workload, who, level, language, samples)


def durable(ours: float) -> list[Figure]:
    return [
        figure("commit", f"{MACHINE}: pwrite, fdatasync", "disk", 1e-4),
        figure(SYNC, MACHINE, "", 1e-4),
        figure("commit", OURS, "disk", ours),
        figure("commit", "redb", "disk", 4e-4),
        figure("commit", "fjall", "disk", 3e-4),
    ]


def test_samples_of_all_rounds_make_one_figure() -> None:
    (joined,) = join(
        [figure("commit", OURS, "disk", 3.0, 1.0), figure("commit", OURS, "disk", 2.0, 5.0, 4.0)]
    )
    assert joined.median == 3.0
    assert joined.middle_half == (2.0, 4.0)


def test_one_sample_is_its_own_spread() -> None:
    assert figure("commit", OURS, "disk", 7.0).middle_half == (7.0, 7.0)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    figures = [figure("commit", OURS, "disk", 1.23456e-7, 2e-7), figure("branch", "numpy: a copy", "", 0.5)]
    write(tmp_path / "peers.json", ABOUT, figures)
    about, again = read(tmp_path / "peers.json")
    assert about == ABOUT
    assert again[0].samples == (1.235e-7, 2e-7)
    assert again[1] == figures[1]


def test_a_line_of_the_rivals_in_rust_is_read() -> None:
    names = '"workload": "commit", "who": "redb", "level": "disk", "language": "Rust"'
    assert parse(f'{{{names}, "samples": [1e-3, 2.5000e-3]}}') == figure(
        "commit", "redb", "disk", 1e-3, 2.5e-3
    )


@pytest.mark.parametrize(("ours", "word"), [(1.29e-4, "met"), (1.31e-4, "MISSED")])
def test_a_target_against_a_limit_of_the_same_run(ours: float, word: str) -> None:
    (verdict,) = [v for v in judge(durable(ours), ROWS) if v.part.workload == "commit" and v.measured]
    assert verdict.word == word
    assert verdict.rival is not None
    assert verdict.rival.who == "fjall"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {verdict.word for verdict in judge([], ROWS)} == {"not measured"}


def test_a_rival_at_another_durability_is_none() -> None:
    figures = [figure("commit", OURS, "process", 1e-7), figure("commit", "redb", "memory", 1e-8)]
    (verdict,) = [verdict for verdict in judge(figures, ROWS) if verdict.measured]
    assert verdict.word == "met"
    assert verdict.rival is None


def test_every_target_is_of_a_workload_there_is() -> None:
    parts = [part for row in ROWS for part in row.parts]
    assert {part.workload for part in parts} <= set(WORKLOADS)
    assert {part.against[0] for part in parts if part.against} <= set(WORKLOADS)


def test_the_page_has_verdicts_shares_and_what_is_absent() -> None:
    text = page.render(STORES, ABOUT, durable(2e-4), "peers.json", "peers")
    assert "| Rust | <= 1.3x = 130 us | 200 us | fjall: 300 us | 0.67 | **MISSED** |" in text
    line = "| **mmsb** | Rust | survives loss of power | 200 us | 200 us to 200 us | 1 |  | 0.5 of 100 us |"
    assert line in text
    assert "absent: redis: no server" in text


def test_the_page_says_what_the_results_say() -> None:
    about, figures = read(ROOT / "docs" / "peers.json")
    assert {figure.workload for figure in figures} <= set(WORKLOADS)
    text = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    assert page.render(STORES, about, figures, "peers.json", "peers") == text


@pytest.mark.parametrize(("value", "said"), [(2.5e7, "25 M/s"), (1234.0, "1.23 k/s"), (12.0, "12 /s")])
def test_rates(value: float, said: str) -> None:
    assert many(value) == said


@pytest.mark.parametrize(("value", "said"), [(1236.0, "1.21 KiB"), (3 * 2**30, "3 GiB"), (12.0, "12 B")])
def test_sizes(value: float, said: str) -> None:
    assert size(value) == said


def test_the_readme_says_what_was_measured() -> None:
    about, figures = read(ROOT / "docs/peers.json")
    assert brief.block(STORES, about, figures) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_block_is_written_between_its_marks_and_again(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{STORES.begin}old\n{brief.END}after\n", encoding="utf-8")
    brief.put(STORES, readme, ABOUT | {"scale": "quick"}, [])
    brief.put(STORES, readme, ABOUT, durable(1e-4))
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "quick" not in text
    assert "one client: Rust | 100 us | fjall: 300 us | 0.33 | <= 1.3x = 130 us | met |" in text
