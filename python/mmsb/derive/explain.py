"""What ran, and why a page is what it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import SupportsIndex

from mmsb._core import Bus as CoreBus
from mmsb._core import _last_step, _rule, _rules, _settle_failed, _trace
from mmsb.derive.called import Key
from mmsb.derive.counters import Counters, counted
from mmsb.given import count


@dataclass(frozen=True)
class Step:
    """One page that a commit looked at: why, and what came of it.

    `cause` is the first of its inputs that changed, or the page itself where its rule is new. `outcome` is
    "changed", "equal" (what follows from it was not looked at for its sake), "behind" (nobody could make it)
    or "marked" (an input that carries no cells changed).
    """

    page: str
    cause: str
    level: int
    rows_in: int
    rows_out: int
    outcome: str
    ns: int


@dataclass(frozen=True)
class Explanation:
    """Why a page is what it is: what it follows from, and how it was made last by this process."""

    page: str
    kind: str
    rule: str
    when: str
    inputs: tuple[tuple[str, str], ...]
    stale: bool
    epoch: int | None
    step: Step | None
    causes: tuple[str, ...]
    counters: Counters | None = None
    failed: str | None = None

    def __str__(self) -> str:
        """What it says, in a few lines."""
        lines = [
            f"{self.page}: {self.kind} {self.rule}{'' if self.when == 'eager' else ', ' + self.when}"
            if self.rule
            else f"{self.page}: written, not derived"
        ]
        lines += [f"  follows from {name} ({kind})" for name, kind in self.inputs]
        if self.stale:
            why = f": {self.failed}" if self.failed else ""
            lines.append(f"  stale: what it follows from has changed since it was made{why}")
        if self.step is not None:
            way = " <- ".join(self.causes) or self.step.cause
            why = "its rule is new" if self.step.cause == self.page else f"of {way}"
            lines.append(
                f"  epoch {self.epoch}: {self.step.outcome}, {self.step.rows_out} rows, because {why}"
            )
        if self.counters is not None and self.counters.looked:
            seen = self.counters
            lines.append(
                f"  looked at {seen.looked} times: ran {seen.ran}, equal {seen.equal}, raised {seen.raised}"
            )
        return "\n".join(lines)


class Names:
    """Names of pages by id, looked up once each."""

    def __init__(self, bus: CoreBus) -> None:
        self._bus = bus
        self._known: dict[int, str] = {}

    def __call__(self, page: int) -> str:
        """The name that a page has, or had."""
        if page not in self._known:
            self._known[page] = self._bus._name(page) or f"page {page}"
        return self._known[page]


def step(names: Callable[[int], str], told: tuple[int, int, int, int, int, str, int]) -> Step:
    """A step, with the names of pages."""
    page, cause, level, rows_in, rows_out, outcome, ns = told
    return Step(names(page), names(cause), level, rows_in, rows_out, outcome, ns)


def trace(bus: CoreBus, epoch: SupportsIndex) -> list[Step]:
    """What ran in an epoch, in its order."""
    names = Names(bus)
    return [step(names, told) for told in _trace(bus, count("epoch", epoch))]


def explain(bus: CoreBus, page: Key) -> Explanation:
    """Why a page is what it is."""
    found = bus[page]
    names, rule = Names(bus), _rule(bus, found)
    kind, called, inputs, when = rule if rule is not None else ("", "", [], "eager")
    last = _last_step(bus, found.id)
    causes: list[str] = []
    if last is not None:
        by_page = {told[0]: told for told in _trace(bus, last[0])}
        at = found.id
        # A step's cause ran before it: the way ends.
        while at in by_page and by_page[at][1] != at:
            at = by_page[at][1]
            causes.append(names(at))
    stale = any(page == found.id and behind for page, behind, _ in _rules(bus))
    return Explanation(
        found.name,
        kind,
        called,
        when,
        tuple((names(page), kind) for page, kind in inputs),
        stale,
        None if last is None else last[0],
        None if last is None else step(names, last[1]),
        tuple(causes),
        None if rule is None else counted(bus).get(found.id, Counters()),
        _settle_failed(bus, found.id) if stale and when == "deferred" else None,
    )


def counters(bus: CoreBus) -> dict[str, Counters]:
    """The counters of every page that follows from others, by name."""
    names, found = Names(bus), counted(bus)
    return {names(page): found.get(page, Counters()) for page, *_ in _rules(bus)}


@dataclass(frozen=True)
class Followed:
    """A page that a commit made by its rule, as the log has it."""

    page: str
    rule: str
    causes: tuple[str, ...]
    bytes: int


def logged(bus: CoreBus, epoch: int) -> list[Followed]:
    """The pages that an epoch changed by their rules, in the order in which they were made.

    Any epoch that is kept has them, whichever process made it. What ran and came out equal is not in the log.
    """
    rules = {page: (called, inputs) for page, _, (_, called, inputs, _) in _rules(bus, epoch)}
    names, found = Names(bus), []
    for entry in bus._log(None, None, epoch, epoch, None):
        touched = {delta["id"] for delta in entry.deltas}
        size: dict[int, int] = {}
        for delta in entry.deltas:
            size[delta["id"]] = size.get(delta["id"], 0) + delta.get("bytes", 0)
        for page, total in size.items():
            if page in rules:
                called, inputs = rules[page]
                causes = tuple(names(source) for source, _ in inputs if source in touched)
                found.append(Followed(names(page), called, causes, total))
    return found


def edges(bus: CoreBus) -> Iterator[tuple[int, bool, str, str, list[tuple[int, str]]]]:
    """Every page that follows from others: its id, whether it is stale, its rule, and its inputs."""
    for page, stale, (kind, called, inputs, _) in _rules(bus):
        yield page, stale, kind, called, inputs
