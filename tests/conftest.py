"""What all tests share: how hard Hypothesis tries, a bus with something of everything, the command line."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import settings
from told import WRITER, Start, Told

import mmsb
from mmsb.cli import cli

# `campaign` is for the long searches of `make campaign`; the seed of a failure is printed in both.
settings.register_profile("quick", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("campaign", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("MMSB_TEST_PROFILE", "quick"))

Run = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A bus at epoch 9, with a branch."""
    path = str(tmp_path / "world.mmsb")
    with mmsb.open(path) as bus:
        pos = bus.create_page("pos", shape=(100, 3), dtype="float32")
        columns = {"price": "f8", "qty": "i4", "name": "S8", "spot": ("f4", (2,))}
        book = bus.create_page("book", rows=40, columns=columns)
        bus.create_page("blob", data=b"hello \x00\x01 world, more than sixteen bytes")
        bus.create_page("one", shape=(), dtype="int64")
        with bus.transaction(source="physics", intent={"why": "integrate [x]"}):
            pos[10:20] = 1.5
            book["qty"][[1, 5, 6]] = 3
        bus["one"][()] = 7
        book.merge({"qty": np.array([1, 2], "i4")}, rows=np.array([3, 4]), op="add")
        plan = bus.branch("what-if", at=7)
        book["price"][3] = float("nan")
        book["name"][2] = b"abc"
        plan["pos"][0] = 9
    return path


@pytest.fixture
def run() -> Run:
    """Runs `mmsb` with these arguments, and checks the exit code."""

    def call(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments], prog_name="mmsb")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """Runs `mmsb ... --json`, and reads what it prints."""

    def call(*arguments: object, code: int = 0) -> Any:
        result = run(*arguments, "--json", code=code)
        assert result.stderr == ""
        return json.loads(result.stdout)

    return call


@pytest.fixture
def others_run() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Does some long work, during which another Python thread must run."""
    ran, stop = 0, threading.Event()

    def run() -> None:
        nonlocal ran
        while not stop.is_set():
            ran += 1
            time.sleep(0.0005)

    def check(work: Callable[[], object]) -> None:
        before, began = ran, time.perf_counter()
        work()
        moved, took = ran - before, time.perf_counter() - began
        assert moved > took / 0.02, f"{moved} steps of another thread in {took:.3f} s"

    thread = threading.Thread(target=run)
    thread.start()
    yield check
    stop.set()
    thread.join()


@pytest.fixture
def writer() -> Iterator[Start]:
    """Starts processes that write a bus, and ends them after the test."""
    writers: list[Told] = []

    def start(path: Path) -> Told:
        writers.append(Told(WRITER, path))
        return writers[-1]

    yield start
    for one in writers:
        one.kill()
        one.end()
