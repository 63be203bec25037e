"""iceoryx2: a service that hands out samples of shared memory, and a blackboard with one value."""

import ctypes
import uuid
from typing import Any

import iceoryx2
import numpy as np

from peers.case import Place
from processes.party import Party, Reader, Task, Writer
from processes.rows import measured
from processes.state import State

KEY = 1


def node() -> Any:
    """Where a process's ends of services belong to."""
    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    return iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)


class Ends:
    """The services of a case, as a process has them."""

    def __init__(self, name: str, task: Task) -> None:
        self.node = node()
        self.samples = (
            self._named(name)
            .publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
            .payload_alignment(iceoryx2.Alignment.new(8))
            .enable_safe_overflow(True)
            .history_size(1)
            .subscriber_max_buffer_size(1)
            .subscriber_max_borrowed_samples(2)
            .max_publishers(1)
            .max_subscribers(max(1, task.readers))
            .open_or_create()
        )
        self.events = self._named(name).event().open_or_create() if task.waits else None

    def _named(self, name: str) -> Any:
        return self.node.service_builder(iceoryx2.ServiceName.new(name))


class Publishes(Writer):
    """Copies the state into a sample and sends it; an event wakes those who wait."""

    tends = True

    def __init__(self, name: str, task: Task) -> None:
        self._ends = Ends(name, task)
        self._size = task.words * 8
        self._publisher = self._ends.samples.publisher_builder().initial_max_slice_len(self._size).create()
        events = self._ends.events
        self._notifier = None if events is None else events.notifier_builder().create()

    def write(self, state: State) -> None:
        sample = self._publisher.loan_slice_uninit(self._size)
        ctypes.memmove(sample.payload_ptr, state.ctypes.data, self._size)
        sample.assume_init().send()
        if self._notifier is not None:
            self._notifier.notify()

    def tend(self) -> None:
        """Whoever is new is sent the newest state."""
        self._publisher.update_connections()


class Receives(Reader):
    """Has the newest sample."""

    def __init__(self, name: str, task: Task) -> None:
        self._ends = Ends(name, task)
        self._bytes = ctypes.c_uint8 * (task.words * 8)
        self._subscriber = self._ends.samples.subscriber_builder().create()
        events = self._ends.events
        self._listener = None if events is None else events.listener_builder().create()
        self._sample: Any = None
        self._state: State | None = None

    def poll(self) -> State | None:
        sample = self._subscriber.receive()
        if sample is None:
            return None
        # The sample is memory that is lent: the one before goes back here.
        self._state = np.frombuffer(memoryview(self._bytes.from_address(sample.payload_ptr)), "uint64")
        self._sample = sample
        return self._state

    def look(self) -> State:
        self.poll()
        while self._state is None:
            self.poll()
        return self._state

    def wait(self, seconds: float) -> State | None:
        assert self._listener is not None
        self._listener.timed_wait(iceoryx2.Duration.from_secs_f64(seconds))
        return self.poll()


class Writes(Writer):
    """Copies the state into the cell of the blackboard that nobody reads."""

    def __init__(self, name: str, task: Task) -> None:
        self._node = node()
        self._type = ctypes.c_uint64 * task.words
        self._board = (
            self._node.service_builder(iceoryx2.ServiceName.new(name))
            .blackboard_creator(ctypes.c_uint64)
            .max_readers(max(1, task.readers))
            .add(ctypes.c_uint64(KEY), self._type())
            .create()
        )
        self._writer = self._board.writer_builder().create()
        self._entry = self._writer.entry(ctypes.c_uint64(KEY), self._type)

    def write(self, state: State) -> None:
        self._entry.update_with_copy(self._type.from_buffer(state.data))


class Reads(Reader):
    """Gets a copy of the value."""

    def __init__(self, name: str, task: Task) -> None:
        self._node = node()
        self._board = (
            self._node.service_builder(iceoryx2.ServiceName.new(name))
            .blackboard_opener(ctypes.c_uint64)
            .open()
        )
        self._reader = self._board.reader_builder().create()
        self._entry = self._reader.entry(ctypes.c_uint64(KEY), ctypes.c_uint64 * task.words)
        self._value: Any = None

    def look(self) -> State:
        self._value = self._entry.get()
        return np.frombuffer(self._value.data, "uint64")

    def poll(self) -> State | None:
        if self._value is not None and self._entry.is_up_to_date(self._value):
            return None
        return self.look()


def share(_: Place, __: Task) -> str:
    """A name for the services of the case."""
    return f"mmsb/{uuid.uuid4()}"


measured(Party("iceoryx2", share, Publishes, Receives))
measured(Party("iceoryx2: blackboard", share, Writes, Reads, waits=False))
