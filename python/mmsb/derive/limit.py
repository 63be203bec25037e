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

    __slots__ = ("due", "ended", "frame", "over", "pause", "raising", "stopped", "thread")

    def __init__(self, frame: FrameType, due: float) -> None:
        self.frame: FrameType | None = frame
        self.thread = threading.get_ident()
        self.due, self.pause = due, _FIRST
        self.ended = self.over = self.raising = self.stopped = False

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
        try:
            runs = not self.over and self.is_running()
            if runs and not self.over:
                self.stopped = True
                _raise(self.thread, _Stop)
        finally:
            # Else who ends would wait for ever for a watch that failed.
            self.raising = False
        self.due, self.pause = time.monotonic() + self.pause, min(2 * self.pause, _LONGEST)
        return runs

    def end(self) -> None:
        """Says that it is over. From then on nothing stops it, or is about to.

        What is raised in here leaves it undone, but for `over`: it is called again until it `ended`.
        """
        self.over = True
        while self.raising:
            time.sleep(0)
        if self.stopped:
            _raise(self.thread, None)
        self.frame = None
        self.ended = True


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
        self.numbers = itertools.count()
        self._wakes = math.inf
        # Unlike a condition it has no lock of Python's, which whoever is stopped would leave locked.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Only threads that watch take it, which nothing interrupts, and no longer than they run.
        self._turn = threading.Lock()

    def start(self) -> None:
        """Starts the thread, unless it runs: one that failed is started anew."""
        if not self._turn.locked():
            threading.Thread(target=self._run, name="mmsb timeouts", daemon=True).start()

    def add(self, number: int, call: _Call) -> None:
        """Has a call stopped when it is due."""
        self.calls[number] = call
        # It says when it wakes after it has looked at the calls there are, and until then that it never does.
        if call.due < self._wakes:
            self._bell.put(None)

    def _run(self) -> None:
        # Of some that are started at once all but one end here: two would both say whether one is raising.
        if self._turn.acquire(blocking=False):
            try:
                self._stop_all()
            finally:
                self._turn.release()

    def _stop_all(self) -> None:
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
        watch = _watch
        # Starting a thread may take longer than the function may: it is not stopped for that.
        watch.start()
        call = _Call(sys._getframe(), time.monotonic() + timeout)
        number, failed, returned = next(watch.numbers), None, None
        try:
            try:
                watch.add(number, call)
                returned = function(*arguments, **named)
            except BaseException as error:
                call.over, failed = True, error
            call.over = True
            # What stops it may be on its way all the same, and Ctrl-C may come at any time.
            while not call.ended:
                try:
                    while not call.ended:
                        call.end()
                except _Stop:
                    pass
                except BaseException as error:
                    failed = error
            watch.calls.pop(number, None)
            if call.stopped and (failed is None or isinstance(failed, (Exception, _Stop))):
                raise RuleTimeout(said) from (failed if isinstance(failed, Exception) else None)
            if failed is not None:
                raise failed
            return returned
        except _Stop:
            # One that is not for this call is for one that it is within.
            if call.stopped:
                raise RuleTimeout(said) from None
            raise
        finally:
            if not call.ended:
                call.end()
            # What is raised has this frame.
            failed = None

    return run
