"""The rivals in Rust: a program of their own, run once a round."""

import json
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from peers.case import Scale
from peers.figure import Figure, parse


def run(
    command: Sequence[str], scale: Scale, number: int, folder: Path, checks: list[str]
) -> Iterator[Figure]:
    """What it prints in a round, figure by figure; what it found equal goes to the checks."""
    words = ["quick" if scale.quick else "full", "again" if number else "first"]
    with subprocess.Popen([*command, *words, str(folder)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            if line.startswith('{"check"'):
                check = json.loads(line)["check"]
                checks += [] if check in checks else [check]
            else:
                yield parse(line)
    if child.returncode:
        raise RuntimeError(f"the program of the rivals in Rust ended with {child.returncode}")


def versions(lock: Path, crates: Collection[str]) -> dict[str, str]:
    """The versions of the rivals, as Cargo.lock pins them."""
    found, name = {}, ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        word, _, value = line.partition(" = ")
        if word == "name":
            name = value.strip('"')
        elif word == "version" and name in crates:
            found[f"{name} (Rust)"] = value.strip('"')
    return found
