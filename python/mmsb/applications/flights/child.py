"""A process of the demo, as its parent has it: it prints a JSON object a line, and a thread reads them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from typing import Any


def say(**facts: Any) -> None:
    """Tell the parent."""
    print(json.dumps(facts), flush=True)


class Child(ABC):
    """A module of this package, run as a process of its own and followed by threads."""

    def __init__(self, module: str, arguments: list[str]) -> None:
        """Start it."""
        self.complaints = ""
        """What it had to say when it failed; there once it has ended."""
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._threads = [threading.Thread(target=self._follow), threading.Thread(target=self._listen)]
        for thread in self._threads:
            thread.start()

    @abstractmethod
    def heard(self, facts: dict[str, Any]) -> None:
        """What the child has said, in a thread of its own."""

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            # One that a kill has cut short says nothing.
            if line.endswith("}\n"):
                self.heard(json.loads(line))

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self.complaints = self._process.stderr.read()

    @property
    def alive(self) -> bool:
        """Whether it still runs, or has said something that is not heard yet."""
        return any(thread.is_alive() for thread in self._threads)

    def kill(self) -> None:
        """End it where it stands."""
        self._process.kill()

    def ended(self) -> int:
        """Wait for its end; its exit status."""
        for thread in self._threads:
            thread.join()
        return self._process.wait()

    def stop(self) -> None:
        """End it now, if it still runs, and let go of it."""
        if self._process.poll() is None:
            self.kill()
        self.ended()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
