"""The table of the README: every target beside the best of the others, the losses too."""

from pathlib import Path
from typing import Any

from peers.figure import Figure
from peers.page import markdown
from peers.subject import Subject
from peers.verdicts import Verdict, cells, judge

END = "<!-- to here -->\n"


def row(subject: Subject, verdict: Verdict, first: bool) -> list[str]:
    """A verdict, with the name of what is done where it is the first of its kind."""
    what, wanted, ours, rival, times, word = cells(verdict, subject.unit_of)
    return [f"{verdict.row.operation}: {what}" if first else what, ours, rival, times, wanted, word]


def block(subject: Subject, about: dict[str, Any], figures: list[Figure]) -> str:
    """What stands between the marks."""
    verdicts = judge(figures, subject.rows)
    rows = [
        row(subject, now, at == 0 or verdicts[at - 1].row is not now.row) for at, now in enumerate(verdicts)
    ]
    words = [verdict.word for verdict in verdicts]
    what = "A quick run, no figure to quote," if about["scale"] == "quick" else "One run"
    machine = f"{about['processor']}, {about['cores']} cores, {about['memory']}, files on {about['files']}"
    met, missed = words.count("met"), words.count("MISSED")
    head = f"""{what} of {about["minutes"]} minutes on {about["date"]}: {machine}.
Medians; all parties take turns, {subject.same}. {met} numbers meet their
target and {missed} do not: [why, and all other figures](docs/{subject.name}.md). "Times" is mmsb's over the
other's: below 1 mmsb is faster."""
    heads = ["what", "mmsb", "best of the others", "times", "target", ""]
    absent = subject.absent[0].upper() + subject.absent[1:]
    return f"{subject.begin}{head}\n\n{markdown(heads, rows)}\n\n{absent}.\n{END}"


def put(subject: Subject, readme: Path, about: dict[str, Any], figures: list[Figure]) -> None:
    """Writes the block anew into a document that has the marks."""
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(subject.begin)
    _, after = rest.split(END, 1)
    readme.write_text(before + block(subject, about, figures) + after, encoding="utf-8")
