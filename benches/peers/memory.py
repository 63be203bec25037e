"""The memory of a process that holds many pages of 1 KiB: `python -m peers.memory WHO LEVEL PAGES FOLDER`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers.case import Place, case
from peers.verdicts import size

PAGE = 1024


def resident() -> dict[str, int]:
    """Bytes that this process has in memory: in all, and by kind."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    kinds = {"all": "VmRSS", "anonymous": "RssAnon", "shared": "RssShmem", "files": "RssFile"}
    return {kind: int(found[name].split()[0]) * 1024 for kind, name in kinds.items()}


def data(n: int) -> bytes:
    """What page `n` holds."""
    return n.to_bytes(8, "little") * (PAGE // 8)


def ours(level: str, pages: int, folder: Path) -> tuple[Any, dict[str, int]]:
    """A bus with so many pages."""
    import numpy as np

    import mmsb

    bus = mmsb.open() if level == "memory" else mmsb.open(folder / "bus")
    for first in range(0, pages, 1000):
        with bus.transaction():
            for n in range(first, min(pages, first + 1000)):
                page = bus.create_page(str(n), shape=(PAGE,), dtype="uint8")
                page[...] = np.frombuffer(data(n), "uint8")
    stats = bus.stats()
    return bus, {f"of the bus: {name}": stats[name] for name in ("memory_bytes", "log_bytes", "held_bytes")}


def lmdb(_: str, pages: int, folder: Path) -> tuple[Any, dict[str, int]]:
    """An environment with so many values."""
    from peers.rivals.with_lmdb import opened

    env = opened(folder, "process")
    for first in range(0, pages, 1000):
        with env.begin(write=True) as write:
            for n in range(first, min(pages, first + 1000)):
                write.put(n.to_bytes(8, "big"), data(n))
    return env, {}


def sqlite(level: str, pages: int, folder: Path) -> tuple[Any, dict[str, int]]:
    """A table with so many rows."""
    from peers.rivals.with_sqlite import connect

    base = connect(folder, level)
    base.execute("create table pages (n integer primary key, data blob)")
    base.execute("begin")
    base.executemany("insert into pages values (?, ?)", ((n, data(n)) for n in range(pages)))
    base.execute("commit")
    return base, {}


def numpy(_: str, pages: int, __: Path) -> tuple[Any, dict[str, int]]:
    """An array a page, by name."""
    import numpy as np

    return {str(n): np.frombuffer(data(n), "uint8").copy() for n in range(pages)}, {}


def redis(_: str, pages: int, folder: Path) -> tuple[Any, dict[str, int]]:
    """A server with so many keys: its own memory, not that of the client."""
    from peers.redis_server import Server

    server = Server(folder, "memory")
    client = server.client()
    for first in range(0, pages, 1000):
        client.mset({str(n): data(n) for n in range(first, min(pages, first + 1000))})
    held = int(client.info("memory")["used_memory_rss"])
    server.stop()
    return None, {"of the server": held}


FILL: dict[str, Callable[[str, int, Path], tuple[Any, dict[str, int]]]] = {
    "mmsb": ours,
    "LMDB": lmdb,
    "SQLite": sqlite,
    "numpy": numpy,
    "Redis": redis,
}


def main(who: str, level: str, pages: int, folder: Path) -> dict[str, int]:
    """Fills, and says what it takes."""
    before = resident()["all"]
    kept, more = FILL[who](level, pages, folder)
    found = resident() | more | {"before": before}
    del kept
    return found


def grown(who: str, *levels: str) -> None:
    """Adds the case of a party, in a fresh process."""

    @case("pages in memory", who, *levels)
    def run(at: Place) -> list[float]:
        pages = at.scale.pages
        command = [sys.executable, "-m", "peers.memory", who, at.level, str(pages), str(at.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        parts: dict[str, int] = json.loads(done.stdout)
        whole = parts.get("of the server", parts["all"])
        told = ", ".join(f"{name} {size(value)}" for name, value in parts.items())
        at.checks.append(f"{who}, {at.level}: {pages:,} pages of 1 KiB, resident: {told}")
        return [whole / pages]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))))
