"""Ray's object store: objects that never change; an actor keeps the newest one's reference and tells it.

A connection a process, as elsewhere: readers are programs of their own, not tasks that the writer hands out.
"""

import asyncio
import os
import shutil
import tempfile
from typing import Any

import ray

from peers.case import Place
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.state import State

ACTOR, NAMESPACE = "state", "mmsb"
QUIET = {"log_to_driver": False, "logging_level": "ERROR", "namespace": NAMESPACE}
STORE = 512 << 20


class Keeper:
    """The newest reference, with its number."""

    def __init__(self) -> None:
        self._number, self._reference = 0, []  # type: tuple[int, list[Any]]
        self._changed = asyncio.Event()

    async def put(self, reference: list[Any]) -> None:
        """Another one. It is in a list, or it would be the object itself."""
        self._number, self._reference = self._number + 1, reference
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def newest(self) -> list[Any]:
        """The newest one."""
        return self._reference

    async def after(self, number: int) -> tuple[int, list[Any]]:
        """The newest one, as soon as it is another than that."""
        while self._number <= number:
            await self._changed.wait()
        return self._number, self._reference


def connected(address: str) -> Any:
    """The keeper, from a process that is connected."""
    ray.init(address=address, **QUIET)
    return ray.get_actor(ACTOR)


class Puts(Writer):
    """Puts it in the store, and has it kept."""

    def __init__(self, address: str, _: Task) -> None:
        self._keeper = connected(address)

    def write(self, state: State) -> None:
        ray.get(self._keeper.put.remote([ray.put(state)]))

    def close(self) -> None:
        ray.shutdown()


class Gets(Reader):
    """Asks for the newest one, and gets it from the store."""

    def __init__(self, address: str, _: Task) -> None:
        self._keeper = connected(address)
        self._seen = 0

    def look(self) -> State:
        (reference,) = ray.get(self._keeper.newest.remote())
        found: State = ray.get(reference)
        return found

    def wait(self, seconds: float) -> State | None:
        try:
            self._seen, (reference,) = ray.get(self._keeper.after.remote(self._seen), timeout=seconds)
        except ray.exceptions.GetTimeoutError:
            return None
        found: State = ray.get(reference)
        return found

    def close(self) -> None:
        ray.shutdown()


def share(at: Place, _: Task) -> str:
    """The address of its processes on this machine, which end with the case."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Sockets lie in it, whose paths must be short.
    folder = tempfile.mkdtemp(prefix="ray-")
    at.after.callback(shutil.rmtree, folder, ignore_errors=True)
    started = ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=STORE, _temp_dir=folder, **QUIET
    )
    at.after.callback(ray.shutdown)
    keeper = ray.remote(Keeper).options(name=ACTOR, num_cpus=0).remote()
    ray.get(keeper.newest.remote())
    at.after.callback(ray.kill, keeper)
    return str(started.address_info["address"])


measured(Party("Ray", share, Puts, Gets, spins=False))
