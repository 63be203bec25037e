"""Redis over loopback TCP: who waits has subscribed, and is sent the state; who looks gets it."""

import numpy as np
import redis

from peers.case import Place
from peers.redis_server import Server
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.state import State

KEY, CHANNEL = "state", "changed"


class Sets(Writer):
    """Sets it, and sends it to those who wait, in one request."""

    def __init__(self, port: int, task: Task) -> None:
        self._client = redis.Redis(port=port)
        self._waits = task.waits

    def write(self, state: State) -> None:
        data = state.data.cast("B")
        if not self._waits:
            self._client.set(KEY, data)
            return
        with self._client.pipeline(transaction=False) as pipe:
            pipe.publish(CHANNEL, data).set(KEY, data).execute()

    def close(self) -> None:
        self._client.close()


class Gets(Reader):
    """Gets it, or is sent it."""

    def __init__(self, port: int, task: Task) -> None:
        self._client = redis.Redis(port=port)
        self._channel = self._client.pubsub(ignore_subscribe_messages=True)
        if task.waits:
            self._channel.subscribe(CHANNEL)
            while self._channel.get_message(timeout=0.1) is None and not self._channel.subscribed:
                pass

    def look(self) -> State:
        return np.frombuffer(self._client.get(KEY), "uint64")

    def wait(self, seconds: float) -> State | None:
        message = self._channel.get_message(timeout=seconds)
        return None if message is None else np.frombuffer(message["data"], "uint64")

    def close(self) -> None:
        self._channel.close()
        self._client.close()


def share(at: Place, _: Task) -> int:
    """The port of a server."""
    server = Server(at.folder, "memory")
    at.after.callback(server.stop)
    return server.port


measured(Party("Redis", share, Sets, Gets))
