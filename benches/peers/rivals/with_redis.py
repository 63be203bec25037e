"""Redis over loopback TCP: a row is a key. The server is started for each case and stopped after it."""

import time
from itertools import count
from typing import Any

import numpy as np

from peers.case import Place, Work, case, place
from peers.data import BATCHED, ROW_BYTES, SHORT_BYTES, batch, values
from peers.memory import grown
from peers.redis_server import Server
from peers.threads import Write, threaded
from peers.workloads import WORKLOADS

WHO = "Redis"
KEYS = [str(row) for row in range(BATCHED)]


def served(at: Place, level: str | None = None) -> Server:
    """A server for the time of the case."""
    server = Server(at.folder, level or at.level or "process")
    at.after.callback(server.stop)
    return server


def filled(at: Place, rows: int, value: bytes) -> Any:
    """A connection to a server with so many rows."""
    client = served(at).client()
    for first in range(0, rows, 4096):
        client.mset(dict.fromkeys(KEYS[first : min(rows, first + 4096)], value))
    return client


@case("commit kept up", WHO, "memory", "process")
@case("commit", WHO, "memory", "process", "disk")
def commit(at: Place) -> Work:
    put = filled(at, 16, bytes(256)).set

    def run(steps: range) -> None:
        for i in steps:
            put(KEYS[i & 15], ROW_BYTES[i % 251])

    return Work(run)


@threaded(WHO, "process", "disk")
def threads(at: Place) -> Any:
    server = served(at)

    def writer() -> Write:
        put = server.client().set

        def write(page: int, row: int, value: int) -> None:
            put(KEYS[page << 5 | row], SHORT_BYTES[value])

        return write

    return writer


def batches(workload: str) -> None:
    @case(workload, f"{WHO}: mset", "memory", "process", "disk")
    def many(at: Place) -> Work:
        width, rows = batch(workload)
        put = filled(at, BATCHED, bytes(width)).mset
        pairs = [
            {KEYS[row]: data.tobytes() for row, data in zip(rows, every, strict=True)}
            for every in values(width, len(rows))
        ]

        def run(steps: range) -> None:
            for i in steps:
                put(pairs[i % 2])

        return Work(run, parts=len(rows))


for workload in WORKLOADS:
    if workload.startswith("batch "):
        batches(workload)


@case("view changed", f"{WHO}: get")
@case("view unchanged", f"{WHO}: get")
def view(at: Place) -> Work:
    client = served(at).client()
    client.set("page", bytes(4096))
    get = client.get

    def run(steps: range) -> None:
        for _ in steps:
            np.frombuffer(get("page"), "uint8")

    return Work(run)


@case("64 MiB written", f"{WHO}: one value", "memory", "process")
def whole(at: Place) -> Work:
    client, step = served(at).client(), count()
    data = [np.full(at.scale.large, value, "uint8").tobytes() for value in (3, 4)]
    return Work(lambda _: client.set("page", data[next(step) % 2]), count=1)


@case("row, then view", f"{WHO}: setrange, get")
def row_then_view(at: Place) -> Work:
    client = served(at, "process").client()
    client.set("page", bytes(at.scale.large))

    def run(steps: range) -> None:
        for i in steps:
            client.setrange("page", i % 1000 * 256, ROW_BYTES[i % 251])
            np.frombuffer(client.get("page"), "uint8")

    return Work(run, count=1)


@case("opened after a crash", f"{WHO}: append-only file", "process")
def crash(at: Place) -> list[float]:
    server = served(at)
    client, epochs = server.client(), at.scale.epochs
    for first in range(0, epochs, 1000):
        # Not timed, so pipelined: the log is the same.
        with client.pipeline(transaction=False) as pipe:
            for i in range(first, first + 1000):
                pipe.set(KEYS[place(i, 4096)], (i + 1).to_bytes(16, "little"))
            pipe.execute()
    took = []
    for _ in range(at.scale.few):
        server.kill()
        start = time.perf_counter()
        server = Server(at.folder, "process")
        found = server.client().get(KEYS[place(epochs - 1, 4096)])
        took.append(time.perf_counter() - start)
        at.after.callback(server.stop)
        assert found == epochs.to_bytes(16, "little"), "the last commit is lost"
    return took


def checkpoints(pages: int) -> None:
    @case(f"checkpoint {pages}", f"{WHO}: save", "disk")
    def checkpoint(at: Place) -> Work:
        client = served(at, "memory").client()
        put(client, at.scale.at_most(pages))
        return Work(lambda _: client.save(), count=1)

    @case(f"restore {pages}", f"{WHO}: server started, mget", "disk")
    def restore(at: Place) -> Work:
        server = served(at, "memory")
        many = at.scale.at_most(pages)
        put(server.client(), many)
        server.client().save()
        server.kill()

        def run(_: range) -> None:
            again = Server(at.folder, "memory")
            for first in range(0, many, 1000):
                keys = [f"p{page}" for page in range(first, min(many, first + 1000))]
                sum(
                    int(np.frombuffer(value, "uint8").sum(dtype="uint64"))
                    for value in again.client().mget(keys)
                )
            again.kill()

        return Work(run, count=1)


def put(client: Any, pages: int) -> None:
    """Pages of 4 KiB."""
    for first in range(0, pages, 1000):
        client.mset({f"p{page}": bytes([1]) * 4096 for page in range(first, min(pages, first + 1000))})


for pages in (16, 100, 100_000):
    checkpoints(pages)
grown(WHO, "memory")
