"""A Redis server of a case's own, on a free port of the loopback."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import redis

SERVER = shutil.which("redis-server")
if SERVER is None:
    raise ImportError("redis-server is not on the path (Debian: apt install redis-server)")
LOG = {"memory": ("no", "no"), "process": ("yes", "no"), "disk": ("yes", "always")}
"""Whether there is an append-only file, and when it is synced."""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server of its own, on a free port."""

    def __init__(self, folder: Path, level: str) -> None:
        append, sync = LOG[level]
        self.port = free_port()
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(folder),
            "save": "",
            "appendonly": append,
            "appendfsync": sync,
            "auto-aof-rewrite-percentage": "0",
            "logfile": "log",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        assert SERVER
        self.process = subprocess.Popen([SERVER, *words], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 600
        while True:
            try:
                if self.client().ping():
                    return
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.stop()
                    raise
                time.sleep(0.002)

    def client(self) -> Any:
        """A connection."""
        return redis.Redis(host="127.0.0.1", port=self.port)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ends it, if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
