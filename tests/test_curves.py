"""The scaling curves: slopes, what may grow, and the page of them."""

import re
from pathlib import Path

import pytest

from curves import page
from curves.expected import ALLOWED, EXPECTED, TOPS, verdict
from curves.points import Point, exponent, growth, lines, parse, runs, upper, written

ROOT = Path(__file__).parents[1]
COMMIT = "commit of 64 B"


def line(values: dict[int, float], what: str = COMMIT, family: str = "page size") -> list[Point]:
    return [Point(family, x, what, "ns", y, 0.9 * y, 1.1 * y, 21) for x, y in values.items()]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_power_law(power: float) -> None:
    assert exponent(line({10**n: 5 * 10 ** (n * power) for n in range(7)})) == pytest.approx(power)


def test_one_disturbed_point_does_not_move_it() -> None:
    values = {4**n: 100.0 for n in range(15)}
    assert abs(exponent(line(values | {4**12: 900.0}))) < 0.01


def test_only_the_upper_half_counts() -> None:
    # A fixed cost hides the linear part below.
    values = {10**n: 1000.0 + 10**n for n in range(9)}
    assert [point.x for point in upper(line(values))] == [10**n for n in range(4, 9)]
    assert exponent(line(values)) > 0.95
    assert growth(line(values)) > 5000


def test_what_grows_is_found_out() -> None:
    flat = line({10**n: 500.0 for n in range(7)}, "log of a commit of 64 B")
    assert verdict("page size", flat) == ("flat", "as expected")
    grows = line({10**n: 500.0 * 10 ** (n / 2) for n in range(7)}, "log of a commit of 64 B")
    assert verdict("page size", grows)[1].startswith("**GROWS**: 0.50")
    assert page.grown([*flat, *line({1: 1.0, 100: 100.0}, "commit", "delta")]) == []
    assert len(page.grown(grows)) == 1


def test_a_line_that_is_judged_from_some_x_on_is_judged() -> None:
    for family, whats in EXPECTED.items():
        for what, should in whats.items():
            start = should.beyond or 1000
            grows = line({start // 10: 1.0, start: 1.0, 3 * start: 3.0, 10 * start: 10.0}, what, family)
            grows = [point for point in grows if point.x >= start]
            assert exponent(grows) == pytest.approx(1.0, abs=0.1)
            if should.kind != "linear":
                assert verdict(family, grows)[1].startswith("**GROWS**"), (family, what)


def test_a_known_cause_is_told() -> None:
    what = next(
        what for what, should in EXPECTED["snapshots"].items() if should.why and should.kind == "flat"
    )
    grows = line({10**n: 10.0**n for n in range(6)}, what, "snapshots")
    assert EXPECTED["snapshots"][what].why in verdict("snapshots", grows)[1]


def test_what_is_written_is_read_again() -> None:
    points = line({1: 20.0, 3: 40.0})
    text = written(points, {"page size": "on a day"})
    assert parse(text) == points
    assert runs(text) == {"page size": "on a day"}


def test_the_page_has_a_section_and_a_picture_for_each_family(tmp_path: Path) -> None:
    points = line({64 * 4**n: 500.0 for n in range(5)}) + line({1: 1.0, 4: 4.0}, "commit", "delta")
    to = tmp_path / "docs" / "curves.md"
    page.write(to, points, {"page size": "today", "delta": "yesterday"})
    text = to.read_text(encoding="utf-8")
    assert re.findall(r"## (.*)", text) == ["Page size", "Delta"]
    assert "| commit of 64 B | 500 ns | 500 ns | 0.00 | log | as expected |" in text
    assert "This run ends below 1 GiB." in text
    pictures = re.findall(r"\]\((.*\.svg)\)", text)
    assert len(pictures) == 2
    assert all((to.parent / picture).exists() for picture in pictures)


def test_every_line_has_figures_and_is_expected_to_grow_somehow() -> None:
    points = parse((ROOT / "docs" / "curves.tsv").read_text(encoding="utf-8"))
    measured = {key for key in lines(points) if key[0] in EXPECTED}
    assert measured == {(family, what) for family, whats in EXPECTED.items() for what in whats}
    assert set(TOPS) == set(EXPECTED)
    assert {should.kind for whats in EXPECTED.values() for should in whats.values()} <= set(ALLOWED)
