"""Whether each target is met, beside the best of the others; and how figures are told."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from peers.case import MACHINE, OURS
from peers.figure import Figure
from peers.targets import GIB, Part, Row
from report import duration, ratio


def told(figure: Figure, unit: str = "s", rate: bool = False, scale: float = 1.0) -> str:
    """A figure in its unit."""
    value = figure.median * scale
    if rate:
        return many(1 / value)
    return duration(value) if unit == "s" else size(value)


def many(value: float) -> str:
    """So many a second."""
    for unit, step in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= step:
            return f"{value / step:.3g} {unit}/s"
    return f"{value:.3g} /s"


def size(value: float) -> str:
    """Bytes."""
    for unit, step in (("GiB", GIB), ("MiB", float(1 << 20)), ("KiB", 1024.0)):
        if value >= step:
            return f"{value / step:.3g} {unit}"
    return f"{value:.3g} B"


def best_rival(figures: Iterable[Figure], part: Part) -> Figure | None:
    """The fastest of the others at the same work and durability, in the same language if there is one."""
    others = [
        figure
        for figure in figures
        if figure.workload == part.workload
        and not figure.who.startswith((OURS, MACHINE))
        and (figure.level == part.level or not part.level or not figure.level)
    ]
    same = [figure for figure in others if figure.language == part.language]
    return min(same or others, key=lambda figure: figure.median, default=None)


@dataclass(frozen=True)
class Verdict:
    """One number of a row, judged."""

    row: Row
    part: Part
    measured: Figure | None
    rival: Figure | None
    wanted: float | None  # in the figure's own unit

    @property
    def word(self) -> str:
        """Met, MISSED, or why neither."""
        if self.measured is None:
            return "not measured"
        if self.wanted is None:
            return "-"
        return "met" if self.measured.median * self.part.scale <= self.wanted else "MISSED"


def judge(figures: list[Figure], rows: Sequence[Row]) -> list[Verdict]:
    """Every number of every row."""
    found = {figure.key: figure for figure in figures}
    verdicts = []
    for row in rows:
        for part in row.parts:
            measured = found.get((part.workload, part.who, part.level, part.language))
            wanted = part.most
            if part.against is not None:
                base = found.get(part.against)
                wanted = base.median * part.times if base else None
            verdicts.append(Verdict(row, part, measured, best_rival(figures, part), wanted))
    return verdicts


def cells(verdict: Verdict, unit: Callable[[str], str]) -> list[str]:
    """A verdict as cells of a table."""
    part, ours, rival = verdict.part, verdict.measured, verdict.rival
    wanted = "" if part.against is None or verdict.wanted is None else f" = {duration(verdict.wanted)}"

    def tell(figure: Figure) -> str:
        return told(figure, unit(part.workload), part.rate, part.scale)

    return [
        part.what,
        part.target + wanted,
        tell(ours) if ours else "",
        f"{rival.who}{'' if rival.language == part.language else f' ({rival.language})'}: {tell(rival)}"
        if rival
        else "none",
        ratio(ours.median / rival.median) if ours and rival else "",
        f"**{verdict.word}**" if verdict.word == "MISSED" else verdict.word,
    ]
