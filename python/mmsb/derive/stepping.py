"""Propagation one page at a time, for whoever wants to look on."""

from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

from mmsb._core import Bus as CoreBus
from mmsb._core import Transaction, _before_stepping, _pending, _step, _step_by_step
from mmsb.derive.explain import Step, step


class Stepping:
    """A transaction in which what follows from its writes is made page by page: see `Bus.stepping`."""

    def __init__(self, bus: CoreBus, transaction: Transaction) -> None:
        self._bus, self._transaction = bus, transaction

    def __enter__(self) -> Self:
        _before_stepping(self._bus)
        self._transaction.__enter__()
        _step_by_step(self._bus)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        return self._transaction.__exit__(kind, value, traceback)

    @property
    def pending(self) -> tuple[str, ...]:
        """The pages that are looked at next, in their order: what is left of the lowest level that has any.

        What follows from them is not known before: it is looked at only where they come out changed.
        """
        return tuple(map(self._name, _pending(self._bus)))

    def step(self) -> Step | None:
        """Looks at one page, and tells what came of it; nothing where all is made.

        Raises:
            RuleError: its rule failed; it names the page and the rule. The next step begins anew.
        """
        told = _step(self._bus)
        return None if told is None else step(self._name, told)

    def _name(self, page: int) -> str:
        """The name of a page, also of one that was made in the block."""
        return self._bus[page].name

    def __iter__(self) -> Iterator[Step]:
        """Steps until all is made."""
        return iter(self.step, None)

    @property
    def epoch(self) -> int | None:
        """The epoch it made, as a transaction's."""
        return self._transaction.epoch

    def __repr__(self) -> str:
        return f"<Stepping of {self._transaction!r}>"
