"""A process that a test tells what to do, and that says what came of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ANSWERS = """
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except mmsb.MmsbError as error:
        print(type(error).__name__, error, flush=True)
"""
"""What a program ends with that evaluates lines: it says what comes of each, or which error and why."""

WRITER = """
import os, sys, time, mmsb
bus = mmsb.open(sys.argv[1])
def count(n):
    page = bus["sum"]
    while n:
        try:
            with bus.transaction():
                page[0] = page[0] + 1
            n -= 1
        except mmsb.ConflictError:
            pass
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except mmsb.MmsbError as error:
        print(repr(error), flush=True)
"""


class Told:
    """A process that runs a program on a bus, a line of which it evaluates at a time."""

    def __init__(self, program: str, path: Path, *before: str) -> None:
        command = [*before, sys.executable, "-c", program, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, code: str) -> None:
        """Has it evaluate an expression, of which `bus` is a part."""
        assert self.process.stdin is not None
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()

    def told(self) -> str:
        """What came of the expression before."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, code: str) -> str:
        """Both."""
        self.tell(code)
        return self.told()

    def kill(self) -> None:
        """Kills it where it stands."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Has it come to its end, where it has not."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()


Start = Callable[[Path], Told]
