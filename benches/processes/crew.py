"""Processes that measure together: each has a role, and a line to the harness. One that fails is told of."""

import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from peers.case import Place

SPAWN = multiprocessing.get_context("spawn")
"""Fresh processes, which have nothing of the harness."""
LONGEST = 300.0
"""Seconds in which anybody must have said something."""

Role = Callable[..., Any]


class Failed(Exception):
    """A process of the crew ended with an error, or said nothing for too long."""


class Line:
    """What a process says to the harness, and hears from it."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def say(self, what: Any = None) -> None:
        """Tells how far it is."""
        self._connection.send(("said", what))

    def hear(self) -> Any:
        """Waits for a word."""
        if not self._connection.poll(LONGEST):
            raise Failed("the harness said nothing")
        return self._connection.recv()

    def called(self) -> bool:
        """Whether there is a word."""
        return self._connection.poll()


def _work(connection: "Connection[Any, Any]", role: Role, arguments: tuple[Any, ...]) -> None:
    """What such a process does."""
    gc.collect()
    gc.disable()
    try:
        connection.send(("done", role(Line(connection), *arguments)))
    except BaseException as error:
        connection.send(("failed", f"{type(error).__name__}: {error}"))


class Member:
    """One of the crew, as the harness has it."""

    def __init__(self, name: str, role: Role, arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.line, theirs = SPAWN.Pipe()
        self.process: BaseProcess = SPAWN.Process(target=_work, args=(theirs, role, arguments), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, what: Any = None) -> None:
        """Says a word to it."""
        self.line.send(what)

    def heard(self) -> Any:
        """What it says, which must be there."""
        try:
            kind, what = self.line.recv()
        except EOFError:
            self.process.join(5)
            raise Failed(f"the {self.name} ended with {self.process.exitcode}") from None
        if kind == "failed":
            raise Failed(f"the {self.name}: {what}")
        return what

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        self.process.join(1)
        for end in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                end()
                self.process.join(2)
        self.line.close()


class Crew:
    """All processes of a case, which end with it."""

    def __init__(self, at: Place) -> None:
        self._at = at

    def start(self, name: str, role: Role, *arguments: Any) -> Member:
        """One more."""
        member = Member(name, role, arguments)
        self._at.after.callback(member.stop)
        return member


def hear(members: Sequence[Member]) -> list[Any]:
    """A word of each of them, in whichever order they come: the first that fails ends it."""
    found: dict[Member, Any] = {}
    end = time.monotonic() + LONGEST
    while len(found) < len(members):
        lines = {member.line: member for member in members if member not in found}
        ready = wait(list(lines), timeout=max(0.0, end - time.monotonic()))
        if not ready:
            names = ", ".join(member.name for member in lines.values())
            raise Failed(f"{names}: nothing heard within {LONGEST:g} s")
        for each in ready:
            member = next(member for line, member in lines.items() if line is each)
            found[member] = member.heard()
    return [found[member] for member in members]


def words(count: int) -> Any:
    """Words of 8 B, zeros, that all processes share: for what is said too often to use a line."""
    return SPAWN.RawArray("Q", count)


def shared(raw: Any) -> "memoryview[int]":
    """The same, as quick to read and to write as can be."""
    return memoryview(raw).cast("B").cast("Q")
