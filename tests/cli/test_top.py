"""`mmsb top` sees from outside who has a bus open, and what happens."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import mmsb

Run = Callable[..., Result]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")

HOLDER = """
import sys, mmsb
bus = mmsb.open(sys.argv[1], mode="r")
held = bus["p"].array
print("open", flush=True)
sys.stdin.read()
"""


def test_it_tells_who_reads_who_writes_and_what_changes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        assert sorted((process.pid, process.writes) for process in bus.processes()) == sorted(
            [(holder.pid, False), *((process.pid, True) for process in bus.processes() if process.is_this)]
        )
        done = threading.Event()

        def commit() -> None:
            while not done.is_set():
                page[0] += 1

        thread = threading.Thread(target=commit)
        thread.start()
        try:
            script = "import sys; from mmsb.cli import main; sys.argv[0] = 'mmsb'; main()"
            arguments = ["top", str(path), "--count", "2", "--interval", "0.3"]
            told = subprocess.run(
                [sys.executable, "-c", script, *arguments, "--json"],
                capture_output=True,
                text=True,
                check=True,
            )
            table = subprocess.run(
                [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
            )
        finally:
            done.set()
            thread.join()
        looks = [json.loads(line) for line in told.stdout.splitlines()]
        assert len(looks) == 2
        for look in looks:
            assert look["follows"]
            assert look["commits"] > 0
            assert look["bytes"] > 0
            assert look["busiest"][0]["page"] == "p"
            modes = {line["pid"]: line["mode"] for line in look["processes"]}
            assert modes[holder.pid] == "reads"
            assert list(modes.values()).count("writes") == 1
            assert [line["pins"] for line in look["processes"] if line["pid"] == holder.pid] == [1]
        assert str(holder.pid) in table.stdout
        assert "commits" in table.stdout
        holder.kill()
    assert holder.pid not in {process.pid for process in bus.processes()}
    bus.close()
    closed = run("top", path, "--count", "1", "--interval", "0.05")
    assert "nobody else" in closed.output
