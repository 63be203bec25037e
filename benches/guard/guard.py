"""Counts the instructions of the hot paths and compares: `guard.py BINARY [--accept]`.

callgrind counts; the binary is `mmsb-guard` (`main.rs` beside this file), `calls.py` has the calls of Python.
What is committed is `baseline.tsv`: instructions of each operation, and under which compiler, valgrind, C
library, processor and Python they were counted; and `functions.tsv`: in which functions. An operation that
moved by more than the tolerance, either way, fails, and so does one that the baseline lacks or has alone.
Counts from under something else say nothing about the code: they are shown, and fail nothing.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.tsv"
FUNCTIONS = HERE / "functions.tsv"
CALLS = HERE / "calls.py"
PYTHON = "Python: "

TOLERANCE = 0.02
"""Counts of one build repeat within 0.3 %."""
SHARE = 0.01
"""The share of an operation below which a function is not kept, nor told."""
TOLD = 6
"""Functions told of an operation that moved."""

Counts = dict[str, float]


@dataclass
class Guarded:
    """What was counted: under what, and per unit the instructions of each operation and of its functions."""

    under: dict[str, str] = field(default_factory=dict)
    total: Counts = field(default_factory=dict)
    functions: dict[str, Counts] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One operation: before and now; `comparable` where both were counted under the same."""

    operation: str
    before: float | None
    now: float | None
    comparable: bool = True

    @property
    def change(self) -> float:
        """The change as a share of what it was."""
        return self.now / self.before - 1 if self.before and self.now else 0.0

    @property
    def verdict(self) -> str:
        """What is wrong, or nothing."""
        if self.before is None:
            return "NEW"
        if self.now is None:
            return "GONE"
        if abs(self.change) <= TOLERANCE:
            return ""
        if not self.comparable:
            return "other machinery"
        return "MORE" if self.change > 0 else "FEWER"

    @property
    def fails(self) -> bool:
        """Whether it must be looked at."""
        return self.verdict.isupper()


# --- what callgrind wrote ---


def self_counts(text: str) -> Counts:
    """The instructions of each function itself, without what it calls, from a file of callgrind.

    A name is given once, behind its number. Whatever has no name, in libraries without symbols, counts
    together as its library. A line behind `calls=` is what the call took, which its function has already.
    """
    names: dict[str, str] = {}
    counts: Counts = {}
    library = function = ""
    called = False
    for line in text.splitlines():
        key, mark, value = line.partition("=")
        if mark and key in {"ob", "fn", "cob", "cfn"}:
            number, _, name = value.partition(" ")
            kind = key[-2:]
            if name:
                names[kind + number] = name
            name = names[kind + number]
            if key == "ob":
                library = Path(name).name
            elif key == "fn":
                function = plain(name, library)
        elif key == "calls":
            called = True
        elif re.match(r"[+*-]?\d*\s", line):
            if not called:
                counts[function] = counts.get(function, 0) + int(line.split()[-1])
            called = False
    return counts


def plain(name: str, library: str) -> str:
    """A function's name without the compiler's hash and callgrind's mark of recursion; else its library's."""
    if re.match(r"0x|\?\?\?|\(below main\)", name):
        return library
    return re.sub(r"(::h[0-9a-f]{16})?('\d+)?$", "", name)


def total(text: str) -> int:
    """All instructions of a file of callgrind."""
    return int(re.findall(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)[-1])


# --- counting ---


def callgrind(options: list[str], command: list[str]) -> None:
    """Run a command under callgrind, with nothing in its environment that is not said here."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(HERE.parents[1] / "python"),
    }
    run = ["valgrind", "--tool=callgrind", *options, *command]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(run)}\nfailed with {done.returncode}:\n{done.stdout}{done.stderr}")


def listed(command: list[str]) -> dict[str, int]:
    """The operations a command has, each with the units that are counted."""
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name: int(units) for name, units in (line.split("\t") for line in lines)}


def count_one(binary: Path, operation: str) -> str:
    """Carry out one operation of the binary; what callgrind wrote."""
    with tempfile.TemporaryDirectory(prefix="mmsb-guard-") as folder:
        out, work = Path(folder) / "out", Path(folder) / "work"
        work.mkdir()
        options = ["--collect-atstart=no", "--toggle-collect=*counted_steps*", f"--callgrind-out-file={out}"]
        callgrind(options, [str(binary), operation, str(work)])
        return out.read_text(encoding="utf-8")


def count_calls(operations: Iterable[str]) -> dict[str, str]:
    """Carry out all calls of Python in one go, for its start takes longest; what callgrind wrote of each."""
    with tempfile.TemporaryDirectory(prefix="mmsb-guard-") as folder:
        out = Path(folder) / "out"
        options = ["--separate-threads=yes", "--dump-before=getloadavg", f"--callgrind-out-file={out}"]
        callgrind(options, [sys.executable, str(CALLS)])
        # The parts that end where an operation does, of the first thread.
        return {
            operation: Path(f"{out}.{2 * place}-01").read_text(encoding="utf-8")
            for place, operation in enumerate(operations, 1)
        }


def count(binary: Path) -> Guarded:
    """Count everything, on all processors: that others run beside it changes nothing."""
    core, calls = listed([str(binary)]), listed([sys.executable, str(CALLS), "list"])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        python = pool.submit(count_calls, calls)
        texts = dict(zip(core, pool.map(lambda operation: count_one(binary, operation), core), strict=True))
        texts |= python.result()
    guarded = Guarded(under(binary))
    for operation, units in (core | calls).items():
        text = texts[operation]
        guarded.total[operation] = total(text) / units
        each = {name: found / units for name, found in self_counts(text).items()}
        guarded.functions[operation] = each
    return guarded


def under(binary: Path) -> dict[str, str]:
    """What the counts depend on besides the code."""
    import numpy as np

    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return {
        "rustc": said(os.environ.get("RUSTC", "rustc"), "--version"),
        "valgrind": said("valgrind", "--version"),
        "C library": " ".join(platform.libc_ver()),
        "processor": said("valgrind", "--quiet", "--tool=none", str(binary), "processor"),
        "Python": f"{sys.version.split('[')[0].strip()}, numpy {np.__version__}",
    }


def differing(before: dict[str, str], now: dict[str, str], operation: str) -> list[str]:
    """What an operation was counted under that is not what it was; Python matters to its own calls alone."""
    return [
        key
        for key in {**before, **now}
        if before.get(key) != now.get(key) and (key != "Python" or operation.startswith(PYTHON))
    ]


# --- the files ---

HEAD = "# Instructions of the hot paths, by callgrind: `make guard` compares, `make guard-accept` writes."


def number(value: float) -> str:
    """A count to four digits at the least, and never more exact than a thousandth."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def write(guarded: Guarded) -> None:
    """Write the baseline."""
    lines = [HEAD, *(f"# {key}: {value}" for key, value in guarded.under.items()), "operation\tinstructions"]
    lines += [f"{operation}\t{number(value)}" for operation, value in guarded.total.items()]
    BASELINE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["operation\tfunction\tinstructions"]
    for operation, functions in guarded.functions.items():
        least = SHARE * guarded.total[operation]
        kept = sorted((-value, name) for name, value in functions.items() if value >= least)
        lines += [f"{operation}\t{name}\t{number(-value)}" for value, name in kept]
    FUNCTIONS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(baseline: str, functions: str) -> Guarded:
    """Read what [`write`] wrote."""
    guarded = Guarded()
    for line in baseline.splitlines():
        if line.startswith("# ") and line != HEAD:
            key, _, value = line[2:].partition(": ")
            guarded.under[key] = value
        elif not line.startswith("#") and line != "operation\tinstructions":
            operation, value = line.split("\t")
            guarded.total[operation] = float(value)
    for line in functions.splitlines()[1:]:
        operation, name, value = line.split("\t")
        guarded.functions.setdefault(operation, {})[name] = float(value)
    return guarded


# --- what is told ---


def compare(before: Guarded, now: Guarded) -> list[Row]:
    """All operations of either, in the order of those there are now."""
    return [
        Row(
            operation,
            before.total.get(operation),
            now.total.get(operation),
            not differing(before.under, now.under, operation),
        )
        for operation in {**now.total, **before.total}
    ]


def table(rows: list[Row]) -> str:
    """A line for each operation."""
    wide = max(len(row.operation) for row in rows)
    lines = [f"{'instructions of':<{wide}}  {'baseline':>10} {'now':>10} {'change':>8}"]
    for row in rows:
        before, now = ("-" if value is None else number(value) for value in (row.before, row.now))
        change = f"{row.change:+.1%}" if round(row.change, 3) else ""
        lines.append(f"{row.operation:<{wide}}  {before:>10} {now:>10} {change:>8}  {row.verdict}".rstrip())
    return "\n".join(lines)


def moved(before: Counts, now: Counts, least: float) -> str:
    """The functions whose counts moved most. One that is below `least` or absent counts as none."""
    rows = [(now.get(name, 0.0) - before.get(name, 0.0), name) for name in {**before, **now}]
    rows = [(by, name) for by, name in rows if abs(by) >= least]
    rows.sort(key=lambda row: (-abs(row[0]), row[1]))
    lines = []
    for by, name in rows[:TOLD]:
        was, has = (number(side[name]) if name in side else "-" for side in (before, now))
        lines.append(f"    {'+' if by > 0 else '-'}{number(abs(by)):<8} {was:>8} -> {has:<8} {name}")
    return "\n".join(lines)


def report(before: Guarded, now: Guarded) -> tuple[str, bool]:
    """What is told, and whether it passes."""
    rows = compare(before, now)
    parts = [table(rows)]
    for row in rows:
        if row.before and row.now and row.verdict:
            least = SHARE * row.before
            text = moved(before.functions.get(row.operation, {}), now.functions[row.operation], least)
            parts.append(f"{row.operation}: {number(row.before)} -> {number(row.now)}\n{text}")
    keys = sorted({key for row in rows for key in differing(before.under, now.under, row.operation)})
    if keys:
        told = [f"    {key}: {before.under.get(key, '-')} -> {now.under.get(key, '-')}" for key in keys]
        aside = sum(not row.comparable for row in rows)
        parts.append(
            f"NOT GUARDED: {aside} of {len(rows)} operations were not counted under what the baseline was:\n"
            + "\n".join(told)
        )
    verdicts = {row.verdict for row in rows if row.fails}
    if "MORE" in verdicts:
        parts.append(
            "MORE: a hot path got longer. If that buys something, `make guard-accept`, and say what."
        )
    if "FEWER" in verdicts:
        parts.append("FEWER: a hot path got shorter. Keep the gain with `make guard-accept`.")
    if verdicts & {"NEW", "GONE"}:
        parts.append("NEW, GONE: the operations are not those of the baseline: `make guard-accept`.")
    parts.append("guard: " + ("fails" if verdicts else "passes"))
    return "\n\n".join(parts), not verdicts


def main() -> None:
    """Count, then compare or write."""
    parser = argparse.ArgumentParser(description="Counts the instructions of the hot paths and compares.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--accept", action="store_true", help="write the baseline")
    given = parser.parse_args()
    now = count(given.binary)
    before = read(
        *(path.read_text(encoding="utf-8") if path.exists() else "" for path in (BASELINE, FUNCTIONS))
    )
    told, passes = report(before, now)
    print(told)
    if given.accept:
        write(now)
        print(f"accepted: {BASELINE}")
    elif not passes:
        sys.exit(1)


if __name__ == "__main__":
    main()
