"""The page that shows the results: the table of targets, then every workload, with pictures."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peers.case import LEVELS, MACHINE, OURS
from peers.figure import Figure
from peers.subject import Subject
from peers.verdicts import cells, judge, told
from peers.workloads import APPEND, LIMITS, SYNC, Workload
from report import duration, ratio


def markdown(heads: Iterable[str], rows: Iterable[list[str]]) -> str:
    """A table."""
    titles = list(heads)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def target_table(subject: Subject, figures: list[Figure]) -> str:
    """The table of targets."""
    rows = []
    before = None
    for verdict in judge(figures, subject.rows):
        row = verdict.row
        head = [row.operation, row.known, row.target] if row is not before else ["", "", ""]
        before = row
        rows.append(head + cells(verdict, subject.unit_of))
    heads = "operation,rival as known before,target,what,wanted here,mmsb,best rival in this run,ratio,"
    absent = subject.absent[0].upper() + subject.absent[1:]
    return markdown(heads.split(","), rows) + f"\n\n{absent}."


def missed(subject: Subject, figures: list[Figure]) -> str:
    """What was missed, and why."""
    lines = [
        f"- {verdict.row.operation}, {verdict.part.what}: {verdict.part.floor or 'not established'}."
        for verdict in judge(figures, subject.rows)
        if verdict.word == "MISSED"
    ]
    return "\n".join(lines) or "Nothing."


def share(workload: Workload, figure: Figure, limits: dict[str, Figure]) -> str:
    """What part of the time the machine's own limit would take."""
    name = SYNC if figure.level == "disk" and workload.limit == APPEND else workload.limit
    if name is None or name not in limits:
        return ""
    least = limits[name].median * workload.times
    return f"{ratio(least / figure.median)} of {duration(least)}"


def limits_of(figures: list[Figure]) -> dict[str, Figure]:
    """The machine's own figures, by workload."""
    found = {figure.workload: figure for figure in figures if figure.who == MACHINE}
    found |= {figure.workload: figure for figure in figures if figure.who == f"{MACHINE}: a Python function"}
    return found


def workload_table(workload: Workload, figures: list[Figure], limits: dict[str, Figure]) -> str:
    """All figures of one workload: what each survives, and how it compares with mmsb's at the same level."""
    ours = {(figure.level, figure.language): figure for figure in figures if figure.who == OURS}
    levels = list(LEVELS)
    rows = []
    for figure in sorted(figures, key=lambda f: (levels.index(f.level), f.language, f.median)):
        base = ours.get((figure.level, figure.language))
        low, high = (told(Figure("", "", "", "", (x,)), workload.unit) for x in figure.middle_half)
        who = f"**{figure.who}**" if figure.who == OURS else figure.who
        against = "" if base is None or base is figure else ratio(figure.median / base.median)
        rows.append(
            [
                who,
                figure.language,
                LEVELS[figure.level],
                told(figure, workload.unit),
                f"{low} to {high}",
                str(len(figure.samples)),
                against,
                share(workload, figure, limits),
            ]
        )
    per = f"for one {workload.per}"
    heads = ["who", "from", "a commit", per, "middle half", "samples", "times mmsb's", "limit's share of it"]
    if workload.limit is None:
        heads.pop()
        rows = [row[:-1] for row in rows]
    return markdown(heads, rows)


def slug(section: str) -> str:
    """A file's name."""
    return re.sub(r"[^a-z]+", "-", section.lower()).strip("-")


def sections(subject: Subject, figures: list[Figure]) -> dict[str, list[tuple[Workload, list[Figure]]]]:
    """The figures by section and workload."""
    found: dict[str, list[tuple[Workload, list[Figure]]]] = {}
    for workload in subject.workloads:
        mine = [figure for figure in figures if figure.workload == workload.key]
        if mine:
            found.setdefault(workload.section, []).append((workload, mine))
    return found


def head(about: dict[str, Any]) -> str:
    """Where, with what and how."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    method = ", ".join(f"{name} {value}" for name, value in about["method"].items())
    lines = [
        f"- {about['date']}, commit {about['commit']}",
        f"- {about['processor']}, {about['cores']} cores, {about['memory']}, {about['kernel']}, "
        f"files on {about['files']}",
        f"- load before the run: {about['load before']}, after it: {about['load after']}; "
        f"{about['minutes']} minutes",
        f"- {versions}",
        f"- method: {method}",
    ]
    lines += [f"- absent: {name}: {why}" for name, why in about["absent"].items()]
    lines += [f"- **failed**: {failure}" for failure in about.get("failures", [])]
    if about["scale"] == "quick":
        lines.append(
            "- **a quick run, to show that the harness works**: small sizes, few samples; no figure to quote"
        )
    return "\n".join(lines)


METHOD = """All parties of a workload take turns inside a round, and there are several rounds, so that what
disturbs the machine disturbs all. A figure is the median of all samples of all rounds; "middle
half" is from their lower to their upper quartile. What finds out how many repetitions fill a sample
is the warm-up. Setting up and tearing down are outside the clock. "Times mmsb's" is a party's time
over mmsb's from the same language at the same durability: above 1 mmsb is faster. "Limit's share"
is what the machine itself takes for the least that such work needs, over the figure: 1 would be the
machine's limit, the dashed line in the pictures. Workloads that take minutes run in one round."""


def render(subject: Subject, about: dict[str, Any], figures: list[Figure], raw: str, pictures: str) -> str:
    """The page, in Markdown."""
    limits = limits_of(figures)
    parts = [
        f"# {subject.title}\n\nWritten by `make {subject.command}`: {subject.opening}. "
        f"Raw figures: [{raw}]({raw}).\n\n{head(about)}\n\n{METHOD}",
        f"## The targets\n\n{target_table(subject, figures)}",
        f"## What was missed, and why\n\n{missed(subject, figures)}",
        f"## {subject.promised}\n\n"
        + markdown(["who", subject.a_promise], [[who, what] for who, what in about["promises"].items()]),
    ]
    for section, workloads in sections(subject, figures).items():
        parts.append(f"## {section}")
        if section != LIMITS:
            parts.append(f"![{section}]({pictures}/{slug(section)}.svg)")
        if section in subject.pictures:
            name, shown, _ = subject.pictures[section]
            parts.append(f"![{shown}]({pictures}/{name}.svg)")
        for workload, mine in workloads:
            note = f"\n\n{subject.notes[workload.key]}" if workload.key in subject.notes else ""
            what = workload.what[0].upper() + workload.what[1:]
            parts.append(f"### {what}\n\n{workload_table(workload, mine, limits)}{note}")
    if about.get("checks"):
        parts.append(
            "## What was checked on the way\n\n" + "\n".join(f"- {check}" for check in about["checks"])
        )
    return "\n\n".join(parts) + "\n"


def write(subject: Subject, to: Path, about: dict[str, Any], figures: list[Figure], raw: str) -> None:
    """The page, and its pictures in a folder beside it."""
    from peers.plots import bars

    folder = to.with_suffix("")
    folder.mkdir(exist_ok=True)
    limits = limits_of(figures)
    least = {
        workload.key: limits[workload.limit].median * workload.times
        for workload in subject.workloads
        if workload.limit in limits
    }
    for section, workloads in sections(subject, figures).items():
        if section in subject.pictures:
            name, _, draw = subject.pictures[section]
            draw(figures, folder / f"{name}.svg")
        if section != LIMITS:
            shown = [one for one in workloads if one[0].key not in subject.unplotted]
            bars(shown or workloads, least, section, folder / f"{slug(section)}.svg")
    to.write_text(render(subject, about, figures, raw, folder.name), encoding="utf-8")
