"""What is handed in, checked: texts, counts, epochs, times, reasons, answers to a condition."""

import json
import operator
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np

from mmsb.errors import InvalidArgument

Durability = Literal["memory", "process", "disk"]
"""What a commit survives: nothing, the death of the process, a loss of power."""

_START = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST_NS = 2**64 - 1


def text(what: str, value: Any) -> str:
    """A string that UTF-8 can say."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{what} {value!r}: a string is wanted, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} {value!r} has half a surrogate pair, which is no text") from None
    return value


def perhaps_text(what: str, value: Any) -> str | None:
    """A string that UTF-8 can say, or nothing."""
    return None if value is None else text(what, value)


def place(what: str, value: Any) -> str:
    """A path as a string. Bytes of it that are no text are as `os.fsdecode` has them."""
    try:
        path = os.fsdecode(value)
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} {value!r} has half a surrogate pair, which is no text") from None
    except TypeError:
        raise InvalidArgument(f"{what} {value!r}: a path is wanted, not {type(value).__name__}") from None
    if not path:
        raise InvalidArgument(f"{what} is empty")
    if "\0" in path:
        raise InvalidArgument(f"{what} {path!r} has a null character")
    return path


def callback(what: str, value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise InvalidArgument(f"{what} {value!r}: a function is wanted, not {type(value).__name__}")
    function: Callable[..., Any] = value
    return function


Progress = Callable[[int], object] | None
"""What is told how far long work has come, if anything is."""


def perhaps_callback(what: str, value: Any) -> Callable[..., Any] | None:
    """Something that can be called, or nothing."""
    return None if value is None else callback(what, value)


def seconds(what: str, value: Any) -> float:
    """A time in seconds."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(f"{what} {value!r}: a time in seconds is wanted") from None


def integer(what: str, value: Any) -> int:
    """An integer, of any sign and size."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise InvalidArgument(f"{what} {value!r}: an integer is wanted, not {type(value).__name__}") from None


def count(what: str, value: Any) -> int:
    """An integer that is not negative, and of 64 bits at most."""
    number = integer(what, value)
    if not 0 <= number < 2**64:
        raise InvalidArgument(f"{what} {number} is {'negative' if number < 0 else 'past all numbers'}")
    return number


def perhaps_count(what: str, value: Any) -> int | None:
    """An integer that is not negative, or nothing."""
    return None if value is None else count(what, value)


def nanoseconds(time: Any) -> int:
    """The last nanosecond of a time's microsecond, since 1970; naive times are local ones."""
    if not isinstance(time, datetime):
        raise InvalidArgument(f"time {time!r}: a datetime is wanted, not {type(time).__name__}")
    if time.tzinfo is None:
        try:
            time = time.astimezone()
        except (OverflowError, ValueError):
            time = time.replace(tzinfo=UTC)
    whole: int = (time - _START) // timedelta(microseconds=1)
    return min(max(0, whole * 1000 + 999), _NEWEST_NS)


def reason(intent: Any) -> str | None:
    """An intent as JSON."""
    if intent is None:
        return None
    try:
        said = json.dumps(intent, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"intent: {error}") from None
    return text("intent", said)


def intended(intent: Any) -> Callable[[str | None], bool]:
    """Whether an intent, as JSON, is the one asked for; of a mapping, whether it has those items."""
    wanted = json.loads(reason(intent) or "null")

    def has(said: str | None) -> bool:
        if said is None:
            return False
        found = json.loads(said)
        if isinstance(wanted, dict):
            items = wanted.items()
            return isinstance(found, dict) and all(key in found and _same(found[key], v) for key, v in items)
        return _same(found, wanted)

    return has


def _same(found: Any, wanted: Any) -> bool:
    """Whether two values are equal as JSON has them, where a truth value is no number."""
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def refusal(answer: Any) -> str:
    """Why the answer of a condition does not let a write happen; empty where it does."""
    if isinstance(answer, str):
        return answer or "the condition does not hold"
    if isinstance(answer, bool | np.bool_ | np.ndarray):
        cells = np.asarray(answer)
        if cells.dtype == np.bool_ and cells.size == 1:
            return "" if cells.item() else "the condition does not hold"
        shown = f"an array of {cells.size} cells of {cells.dtype}: say .all() or .any() of booleans"
    else:
        shown = f"{answer!r}: a boolean is wanted, or a string that says why not"
    raise InvalidArgument(f"when returned {shown}")
