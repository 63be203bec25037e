"""Functions that may not run for longer than some time."""

import ctypes
import functools
import itertools
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from mmsb.errors import RuleTimeout

_FIRST, _LONGEST = 0.05, 1.0
"""Seconds after which a function that caught what stops it is stopped again: at first, and at last."""


class _Stop(BaseException):
    """What stops a function: nothing that it catches by `except Exception`."""


class _Call:
    """A call of a function that may run for some time only.

    Thread and watch share it without a lock, in which what stops the one could catch it: what stops it is
    raised only while `raising` is true, and only if `over` was not true after that was said.
    """

    __slots__ = ("due", "frame", "over", "pause", "raising", "stopped", "thread")

    def __init__(self, frame: FrameType, due: float) -> None:
        self.frame: FrameType | None = frame
        self.thread = threading.get_ident()
        self.due, self.pause = due, _FIRST
        self.over = self.raising = self.stopped = False

    def is_running(self) -> bool:
        """Whether its frame is still on its thread's stack, whatever was said of it."""
        wanted = self.frame
        frame = sys._current_frames().get(self.thread)
        while frame is not None and frame is not wanted:
            frame = frame.f_back
        return frame is not None

    def stop(self) -> bool:
        """Stops it, as long as it runs; whether it did."""
        self.raising = True
        runs = not self.over and self.is_running()
        if runs and not self.over:
            self.stopped = True
            _raise(self.thread, _Stop)
        self.raising = False
        self.due, self.pause = time.monotonic() + self.pause, min(2 * self.pause, _LONGEST)
        return runs

    def end(self) -> None:
        """Says that it is over. From then on nothing stops it, or is about to."""
        self.over = True
        while self.raising:
            time.sleep(0)
        if self.stopped:
            _raise(self.thread, None)
        self.frame = None


def _raise(thread: int, what: type[BaseException] | None) -> None:
    """Raises in a thread, between two instructions of Python; `None` takes back what is not raised yet."""
    raised = ctypes.c_void_p(None) if what is None else ctypes.py_object(what)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


class _Watch:
    """The thread that stops functions, one for all calls of a process.

    It sleeps until the first of them is due. A call that is over before then costs it nothing: it is woken
    only for one that is due before it would wake by itself, once in as long as functions may run.
    """

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self._numbers = itertools.count()
        self._wakes = math.inf
        # Unlike a condition it has no lock of Python's, which whoever is stopped would leave locked.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def add(self, call: _Call) -> int:
        """Has a call stopped when it is due; its number."""
        number = next(self._numbers)
        self.calls[number] = call
        if self._thread is None:
            self._start()
        # It says when it wakes after it has looked at the calls there are, and until then that it never does.
        if call.due < self._wakes:
            self._bell.put(None)
        return number

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="mmsb timeouts", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            self._wakes = math.inf
            now = time.monotonic()
            for number, call in list(self.calls.items()):
                if call.due <= now and not call.stop():
                    self.calls.pop(number, None)
            self._wakes = min((call.due for call in list(self.calls.values())), default=math.inf)
            wait = None if self._wakes == math.inf else max(0.0, self._wakes - time.monotonic())
            try:
                self._bell.get(timeout=wait)
            except queue.Empty:
                continue


_watch = _Watch()


def _forked() -> None:
    """A child process has no thread that watches, nor one that raises."""
    global _watch
    for call in _watch.calls.values():
        call.raising = False
    _watch = _Watch()


os.register_at_fork(after_in_child=_forked)


def limited(function: Callable[..., Any], timeout: float) -> Callable[..., Any]:
    """The function, stopped by `RuleTimeout` when it has run for so many seconds.

    It is stopped between two instructions of Python, by what `except Exception` does not catch, and again
    until it has ended. One that returns or raises something else all the same was too slow. What cannot be
    stopped is a call into C that does not return, and a function that catches every `BaseException` for ever.
    """
    said = f"the rule ran for more than {timeout:g} s"

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        watch, call = _watch, _Call(sys._getframe(), time.monotonic() + timeout)
        number, failed, returned = watch.add(call), None, None
        try:
            returned = function(*arguments, **named)
        except BaseException as error:
            failed = error
        # What stops it may come while it is said to be over.
        while True:
            try:
                call.end()
                break
            except _Stop:
                continue
        watch.calls.pop(number, None)
        try:
            if call.stopped and (failed is None or isinstance(failed, (Exception, _Stop))):
                raise RuleTimeout(said) from (failed if isinstance(failed, Exception) else None)
            if failed is not None:
                raise failed
            return returned
        finally:
            # What is raised has this frame.
            failed = None

    return run
