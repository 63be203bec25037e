"""The rivals in Rust: a program of their own, run once a round."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from peers.figure import Figure, parse


def run(program: Path, quick: bool, folder: Path) -> Iterator[Figure]:
    """What it prints, figure by figure."""
    command = [str(program), "quick" if quick else "full", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            yield parse(line)
    if child.returncode:
        raise RuntimeError(f"the program of the rivals in Rust ended with {child.returncode}")


def versions(lock: Path) -> dict[str, str]:
    """The versions of the rivals, as Cargo.lock pins them."""
    found, name = {}, ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        word, _, value = line.partition(" = ")
        if word == "name":
            name = value.strip('"')
        elif word == "version" and name in ("fjall", "heed", "redb", "mmsb"):
            found[f"{name} (Rust)"] = value.strip('"')
    return found
