"""Functions that take too long."""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import mmsb
from mmsb.derive import limit


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def test_a_function_that_does_not_end_is_stopped(bus: mmsb.Bus) -> None:
    """By the timeout that it was declared with."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow = False

    def spins(a: Any) -> Any:
        while slow:
            pass
        return a + 0

    made = bus.derive("b", spins, inputs=[source], shape=(4,), dtype="int64", timeout=0.2)
    slow = True
    with pytest.raises(mmsb.RuleError, match=r"the rule ran for more than 0.2 s") as caught:
        source[0] = 1
    assert isinstance(caught.value.__cause__, mmsb.RuleTimeout)
    slow = False
    source[0] = 2
    assert made.array[0] == 2


def test_one_that_catches_its_timeout_was_too_slow_all_the_same(bus: mmsb.Bus) -> None:
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow = False

    def hides(a: Any) -> Any:
        with contextlib.suppress(Exception):
            while slow:
                pass
        return a + 0

    made = bus.derive("b", hides, inputs=[source], shape=(4,), dtype="int64", timeout=0.05)
    slow = True
    with pytest.raises(mmsb.RuleError, match=r"page 'b'.*the rule ran for more than 0.05 s"):
        source[0] = 1
    slow = False
    source[0] = 2
    assert made.array[0] == 2


@pytest.mark.parametrize(("caught", "times"), [(Exception, 1 << 60), (BaseException, 3)])
@pytest.mark.parametrize("when", ["eager", "lazy", "deferred"])
def test_one_that_goes_on_after_it_was_stopped_is_stopped_again(
    bus: mmsb.Bus, caught: type[BaseException], times: int, when: Any
) -> None:
    """What stops it is no `Exception`, and comes again until the function has ended."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow, stopped = False, 0

    def stubborn(a: Any) -> Any:
        nonlocal stopped
        while slow:
            try:
                while slow:
                    pass
            except caught:
                stopped += 1
                if stopped > times:
                    raise
        return a + 0

    made = bus.derive("b", stubborn, inputs=[source], shape=(4,), dtype="int64", timeout=0.2, when=when)
    slow, digest, epoch = True, bus.digest(), bus.epoch
    began = time.monotonic()
    with pytest.raises(mmsb.RuleError, match=r"page 'b'.*the rule ran for more than 0.2 s") as failed:
        source[0] = 1
        if when == "lazy":
            _ = made.array
        bus.settle()
    assert 0.2 <= time.monotonic() - began < 10
    assert isinstance(failed.value.__cause__, mmsb.RuleTimeout)
    # Of a deferred one the background tried, too.
    assert stopped >= 4 if caught is BaseException else stopped == 0
    if when == "eager":
        assert (bus.digest(), bus.epoch) == (digest, epoch)
    slow = False
    source[0] = 2
    bus.settle()
    assert made.array[0] == 2


def test_nothing_stops_who_comes_after_one_that_was_stopped(bus: mmsb.Bus) -> None:
    """However often it was, and wherever in its last instructions."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    slow = 0.0

    def waits(a: Any) -> Any:
        until = time.monotonic() + slow
        while time.monotonic() < until:
            pass
        return a + 0

    bus.derive("b", waits, inputs=[source], shape=(4,), dtype="int64", timeout=0.01)
    late = 0
    for number in range(100):
        # About as long as it may run, and as it takes to be stopped, so that some are as they end.
        slow = 0.0095 + number * 1e-4
        try:
            source[0] = number + 1
        except mmsb.RuleError as error:
            late += isinstance(error.__cause__, mmsb.RuleTimeout)
        spun = sum(range(2000))
    assert spun == 1999000
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass
    slow = 0.0
    source[0] = -1
    assert late > 0


def test_what_a_late_function_raises_instead_is_told(bus: mmsb.Bus) -> None:
    """It was too slow all the same; but whoever interrupts the process is heard."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    instead: BaseException | None = None

    def slow(a: Any) -> Any:
        try:
            while instead:
                pass
        except BaseException:
            assert instead is not None
            raise instead from None
        return a + 0

    made = bus.derive("b", slow, inputs=[source], shape=(4,), dtype="int64", timeout=0.05)
    instead = KeyError("instead")
    with pytest.raises(mmsb.RuleError, match=r"the rule ran for more than 0.05 s") as failed:
        source[0] = 1
    assert isinstance(failed.value.__cause__, mmsb.RuleTimeout)
    assert isinstance(failed.value.__cause__.__cause__, KeyError)
    instead = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        source[0] = 1
    instead = None
    source[0] = 2
    assert made.array[0] == 2


def test_a_late_rule_within_another_leaves_that_its_own_time(bus: mmsb.Bus) -> None:
    """Of two calls on one thread each is stopped for what it did."""
    with mmsb.open() as other:
        theirs = other.create_page("theirs", shape=(), dtype="int64")
        source = bus.create_page("a", shape=(4,), dtype="int64")
        inner = outer = False

        def within(number: Any) -> Any:
            while inner:
                pass
            return number

        other.derive("within", within, inputs=[theirs], shape=(), dtype="int64", timeout=0.05)

        def around(a: Any) -> Any:
            if outer:
                with contextlib.suppress(mmsb.RuleError):
                    theirs[...] = int(theirs.array) + 1
                while inner is None:
                    pass
            return a + 0

        made = bus.derive("b", around, inputs=[source], shape=(4,), dtype="int64", timeout=0.4)
        inner = outer = True
        source[0] = 1
        assert (made.array[0], int(theirs.array)) == (1, 0)
        inner = None  # type: ignore[assignment]
        with pytest.raises(mmsb.RuleError, match=r"page 'b'.*more than 0.4 s"):
            source[0] = 2
        assert made.array[0] == 1


def test_a_child_process_stops_its_own(bus: mmsb.Bus) -> None:
    """The thread that does that is not in it, and is begun anew."""
    source = bus.create_page("a", shape=(4,), dtype="int64")
    bus.derive("b", lambda a: a, inputs=[source], shape=(4,), dtype="int64", timeout=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        with contextlib.suppress(BaseException), mmsb.open() as own:
            page = own.create_page("a", shape=(1,), dtype="int64")
            try:
                own.derive("b", _spin, inputs=[page], shape=(1,), dtype="int64", timeout=0.1)
            except mmsb.RuleError as error:
                code = 0 if isinstance(error.__cause__, mmsb.RuleTimeout) else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def _spin(a: Any) -> Any:
    while True:
        pass


def test_a_call_that_never_said_that_it_was_over_is_let_go() -> None:
    """Should it be interrupted in its last instructions: what counts is what is on its thread's stack."""

    def call() -> limit._Call:
        made = limit._Call(sys._getframe(), 0.0)
        assert made.is_running()
        return made

    gone = call()
    assert not gone.over
    assert not gone.is_running()
    assert not gone.stop()
    assert not gone.stopped


def test_a_call_within_less_time_than_a_thread_takes_to_start_is_no_worse_off(
    bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many threads want to run: it is made or too slow, and one thread watches however often."""
    monkeypatch.setattr(limit, "_watch", limit._Watch())
    source = bus.create_page("a", shape=(4,), dtype="int64")
    before, over = set(threading.enumerate()), threading.Event()

    def spins() -> None:
        while not over.is_set():
            sum(range(100))

    def watching() -> int:
        return sum(thread.name == "mmsb timeouts" for thread in set(threading.enumerate()) - before)

    busy = [threading.Thread(target=spins, daemon=True) for _ in range(14)]
    for thread in busy:
        thread.start()
    try:
        for number in range(4):
            with contextlib.suppress(mmsb.RuleTimeout, mmsb.RuleError):
                bus.derive(
                    f"b{number}", lambda a: a + 0, inputs=[source], shape=(4,), dtype="i8", timeout=0.05
                )
    finally:
        over.set()
    for thread in busy:
        thread.join()
    until = time.monotonic() + 1
    while watching() != 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert watching() == 1


def test_a_watch_that_failed_is_started_again(bus: mmsb.Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, fails = limit._Watch(), True
    stops = watch._stop_all

    def stop_all() -> None:
        if not fails:
            stops()

    monkeypatch.setattr(limit, "_watch", watch)
    monkeypatch.setattr(watch, "_stop_all", stop_all)
    source = bus.create_page("a", shape=(4,), dtype="int64")
    bus.derive("b", lambda a: a + 0, inputs=[source], shape=(4,), dtype="int64", timeout=5)
    fails = False
    with pytest.raises(mmsb.RuleError, match=r"more than 0.1 s"):
        bus.derive("c", _spin, inputs=[source], shape=(4,), dtype="int64", timeout=0.1)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, limit._Stop])
@pytest.mark.parametrize("late", [False, True])
def test_whoever_is_interrupted_as_it_ends_takes_back_what_stops_it(
    kind: type[BaseException], late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether before or after it was said to be over; Ctrl-C is heard, what stops it is too slow."""
    end, calls = limit._Call.end, []

    def interrupted(call: limit._Call) -> None:
        calls.append(call)
        if len(calls) > 1:
            return end(call)
        if kind is limit._Stop:
            call.stopped = True
        if late:
            end(call)
        raise kind

    monkeypatch.setattr(limit._Call, "end", interrupted)
    with pytest.raises(mmsb.RuleTimeout if kind is limit._Stop else kind):
        limit.limited(lambda: 1, 5.0)()
    assert calls[0].ended
    assert calls[0] not in limit._watch.calls.values()
    assert limit.limited(lambda: 1, 5.0)() == 1


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e30])
def test_a_timeout_that_cannot_be_is_refused(bus: mmsb.Bus, timeout: float) -> None:
    source = bus.create_page("a", shape=(4,), dtype="int64")
    with pytest.raises(mmsb.InvalidArgument, match=r"page 'b': timeout .*: it is more than 0 s"):
        bus.derive("b", lambda a: a, inputs=[source], shape=(4,), dtype="int64", timeout=timeout)
