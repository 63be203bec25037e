"""A figure: all samples of one workload by one party. How it is read, written and put together."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, str]
"""Workload, who, level, language."""


@dataclass(frozen=True)
class Figure:
    """Samples, in seconds (or bytes, where the workload says so) for one of what the workload counts."""

    workload: str
    who: str
    level: str
    language: str
    samples: tuple[float, ...]

    @property
    def key(self) -> Key:
        """What it is the figure of."""
        return self.workload, self.who, self.level, self.language

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    @property
    def middle_half(self) -> tuple[float, float]:
        """The lower and the upper quartile."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high


def parse(line: str) -> Figure:
    """A figure from its line of JSON."""
    told = json.loads(line)
    return Figure(
        told["workload"], told["who"], told["level"], told["language"], tuple(map(float, told["samples"]))
    )


def join(figures: Iterable[Figure]) -> list[Figure]:
    """The figures of all rounds: those of one key become one, in the order they came first."""
    found: dict[Key, Figure] = {}
    for figure in figures:
        before = found.get(figure.key)
        found[figure.key] = (
            replace(before, samples=before.samples + figure.samples) if before is not None else figure
        )
    return list(found.values())


def write(path: Path, about: dict[str, Any], figures: Iterable[Figure]) -> None:
    """Writes the results: what they are about, then a figure a line."""
    lines = []
    for figure in figures:
        told = asdict(figure) | {"samples": [float(f"{sample:.4g}") for sample in figure.samples]}
        low, high = figure.middle_half
        told |= {
            "median": float(f"{figure.median:.4g}"),
            "middle_half": [float(f"{x:.4g}") for x in (low, high)],
        }
        lines.append(json.dumps(told))
    head = json.dumps(about, indent=1, ensure_ascii=False)[:-2]
    path.write_text(head + ',\n "figures": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


def read(path: Path) -> tuple[dict[str, Any], list[Figure]]:
    """What was written."""
    about = json.loads(path.read_text(encoding="utf-8"))
    figures = [parse(json.dumps(told)) for told in about.pop("figures")]
    return about, figures
