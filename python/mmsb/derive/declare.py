"""Declaring a page that a function makes."""

import threading
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from mmsb._core import Bus as CoreBus
from mmsb._core import Page, _derive, _derive_by
from mmsb.derive.called import Key, called, pages_of
from mmsb.derive.limit import limited
from mmsb.derive.native import Addressed, declare_native, is_native
from mmsb.derive.rule import Rule
from mmsb.errors import InvalidArgument, RuleError
from mmsb.given import callback, seconds, text
from mmsb.layout import Columns, Shape, plan


def declare(
    bus: CoreBus,
    name: str,
    function: Callable[..., Any] | Addressed,
    inputs: Any,
    after: Any,
    layout: tuple[Shape | None, DTypeLike | None, int | None, Columns | None],
    changed: bool,
    timeout: float | None,
    when: str,
) -> Page:
    """Has a page follow from others by a function."""
    text("a page's name", name)
    shape, dtype, rows, columns = layout
    made = plan(name, shape, dtype, rows, columns, None, None)
    if is_native(function):
        if changed or timeout is not None:
            what = "changed" if changed else "timeout"
            raise InvalidArgument(
                f"page {name!r}: {what} goes with a function of Python's, not with {function!r}"
            )
        return declare_native(bus, name, function, inputs, after, made, when)
    run = callback("rule", function)
    if timeout is not None:
        limit = seconds("timeout", timeout)
        if not 0 < limit <= threading.TIMEOUT_MAX:
            most = threading.TIMEOUT_MAX
            raise InvalidArgument(f"page {name!r}: timeout {limit:g}: it is more than 0 s, at most {most:g}")
        run = limited(run, limit)
    given = (made.kind, made.columns, made.rows)
    keys, later = pages_of(name, "inputs", inputs), pages_of(name, "after", after)
    return _derive(bus, name, given, run, called(function), keys, later, bool(changed), when)


def declare_by(bus: CoreBus, name: str, rule: Rule, after: Any, when: str) -> Page:
    """Has a page follow from others by a built-in rule, or by operations of users' own."""
    text("a page's name", name)
    inputs: list[Key] = list(rule.inputs)
    after = pages_of(name, "after", after)
    if rule.by is not None:
        if rule.by.lacks:
            error = RuleError(f"page {name!r}: {rule.by.lacks}")
            error.page, error.rule = name, rule.said[0]
            raise error
        made = plan(name, rule.by.shape, rule.by.dtype, None, None, None, None)
        given, run = (made.kind, made.columns, made.rows), rule.by.function
        return _derive(bus, name, given, run, rule.said[0], inputs, after, False, when)
    return _derive_by(bus, name, rule.said, inputs, after, when)
