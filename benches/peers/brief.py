"""The table of the README: every target beside the best of the others, the losses too."""

from pathlib import Path
from typing import Any

from peers.figure import Figure
from peers.page import markdown, unit_of
from peers.targets import ABSENT
from peers.verdicts import Verdict, cells, judge

BEGIN, END = "<!-- written by make bench-peers -->\n", "<!-- to here -->\n"


def row(verdict: Verdict, first: bool) -> list[str]:
    """A verdict, with the name of what is done where it is the first of its kind."""
    what, wanted, ours, rival, times, word = cells(verdict, unit_of)
    return [f"{verdict.row.operation}: {what}" if first else what, ours, rival, times, wanted, word]


def block(about: dict[str, Any], figures: list[Figure]) -> str:
    """What stands between the marks."""
    verdicts = judge(figures)
    rows = [row(now, at == 0 or verdicts[at - 1].row is not now.row) for at, now in enumerate(verdicts)]
    words = [verdict.word for verdict in verdicts]
    what = "A quick run, no figure to quote," if about["scale"] == "quick" else "One run"
    machine = f"{about['processor']}, {about['cores']} cores, {about['memory']}, files on {about['files']}"
    met, missed = words.count("met"), words.count("MISSED")
    head = f"""{what} of {about["minutes"]} minutes on {about["date"]}: {machine}.
Medians; all parties take turns, at the same work and the same durability. {met} numbers meet their
target and {missed} do not: [why, and all other figures](docs/peers.md). "Times" is mmsb's over the
other's: below 1 mmsb is faster."""
    heads = ["what", "mmsb", "best of the others", "times", "target", ""]
    return f"{BEGIN}{head}\n\n{markdown(heads, rows)}\n\n{ABSENT[0].upper()}{ABSENT[1:]}.\n{END}"


def put(readme: Path, about: dict[str, Any], figures: list[Figure]) -> None:
    """Writes the block anew into a document that has the marks."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(before + block(about, figures) + after, encoding="utf-8")
