"""What a bus has for pages that follow from others."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

from numpy.typing import DTypeLike

from mmsb._core import Bus as CoreBus
from mmsb._core import Page, _release, _settle
from mmsb.derive.called import Key
from mmsb.derive.counters import Counters
from mmsb.derive.declare import declare, declare_by
from mmsb.derive.explain import Explanation, Step, counters, explain, trace
from mmsb.derive.expression import Expression, express
from mmsb.derive.graph import graph
from mmsb.derive.native import Addressed
from mmsb.derive.perfetto import perfetto
from mmsb.derive.provenance import Provenance, provenance
from mmsb.derive.rule import Rule
from mmsb.derive.stepping import Stepping
from mmsb.errors import InvalidArgument
from mmsb.given import perhaps_text, reason, text
from mmsb.layout import Columns, Shape

if TYPE_CHECKING:
    import os

    import rustworkx


When = Literal["eager", "deferred", "lazy"]
"""When a page that follows from others is made."""


class Deriving(CoreBus):
    """A bus whose pages may follow from others."""

    __slots__ = ()

    def derive(
        self,
        name: str,
        rule: Callable[..., Any] | Addressed | Rule | Expression | Mapping[str, Any] | None = None,
        *,
        inputs: Any = (),
        after: Any = (),
        shape: Shape | None = None,
        dtype: DTypeLike | None = None,
        rows: int | None = None,
        columns: Columns | None = None,
        changed: bool = False,
        timeout: float | None = None,
        when: When = "eager",
    ) -> Any:
        """Makes a page that follows from others, or has one that does follow from something else.

        From now on every commit that changes an input changes the page too, in the same epoch; where it comes
        out as it was, what follows from it is not looked at. Without a rule this is a decorator:

            @bus.derive("speed", inputs=[velocity], shape=(1000,), dtype="float32")
            def speed(velocity):
                return np.linalg.norm(velocity, axis=1)

        A function gets a read-only array for each input, lent for the call; of a page without axes a number
        of its dtype, of a table a mapping of arrays by column. It returns an array of the page's shape, for a
        table a mapping of them. For the same inputs it must return the same. It is not stored: a process that
        has not declared it leaves the page stale.

        Compiled code makes a page without the interpreter: see `mmsb.native`, `numba.cfunc` of
        `mmsb.derive.cfunc_signature()`, and functions of C as `mmsb.derive.CFunction`.

        Args:
            name: of the page. A page of this name that follows from others gets this rule instead.
            rule: a function, of Python's or compiled; a built-in rule, `mmsb.reduce(book["qty"], "sum")`; an
                expression of columns, `mmsb.col(book["price"]) * mmsb.col(book["qty"])`; or a mapping of some
                by column.
            inputs: pages, their names or ids, in the order in which a function takes them.
            after: pages whose change marks this one as stale, without making it.
            shape: of an array page that a function makes; with `dtype`.
            dtype: anything numpy takes.
            rows: of a table that a function makes; with `columns`.
            columns: dtype by name, as `create_page` takes them.
            changed: the function also takes `changed`, a tuple with an array of truth values for each input
                that tells which rows changed, and may return `(rows, values)`: a mask of rows, or their
                numbers, and what they hold now.
            timeout: seconds after which a function of Python's is stopped, between two instructions and as
                often as it goes on; a call into C that does not return is waited for.
            when: the page is made. "eager": in every commit that changes an input. "deferred": in an epoch of
                its own soon after, for rules that are slow; until then it is stale, and so is what follows
                from it. "lazy": when somebody reads it; what it holds is no part of the state, its digest or
                the log, and an eager page that follows from it makes it eager.

        Returns:
            The page; as a decorator what makes it of a function.

        Raises:
            RuleError: the function raised, keeps or writes what it was lent, uses the bus, or returns a wrong
                shape, dtype or column; or a semiring lacks what the rule needs. Then nothing was changed.
            CycleError, NameTaken, PageNotFound, ShapeError, DtypeError: as they say.
        """
        if isinstance(rule, (Expression, Mapping)):
            rule = express(rule)
        if isinstance(rule, Rule):
            given = [
                what
                for what, value in {
                    "inputs": inputs or None,
                    "shape": shape,
                    "dtype": dtype,
                    "rows": rows,
                    "columns": columns,
                    "changed": changed or None,
                    "timeout": timeout,
                }.items()
                if value is not None
            ]
            if given:
                raise InvalidArgument(f"page {name!r}: {given[0]} goes with a function, not with {rule!r}")
            return declare_by(self, name, rule, after, text("when", when))

        def made(function: Callable[..., Any] | Addressed) -> Page:
            layout = (shape, dtype, rows, columns)
            return declare(self, name, function, inputs, after, layout, changed, timeout, text("when", when))

        return made if rule is None else made(rule)

    def release(self, page: Key) -> None:
        """Has a page follow from nothing any more: its cells stay, and may be written."""
        _release(self, page)

    def settle(self) -> int | None:
        """Makes now the deferred pages that are stale, and what follows from them, and waits for that.

        Pages whose functions this process has not declared stay stale.

        Returns:
            The epoch that it made; nothing where there was nothing to make.

        Raises:
            RuleError: a rule fails, the first that does. The others are made; this page, and what follows
                from it, stays stale and is tried again after the next commit that concerns a deferred page.
        """
        return _settle(self)

    def trace(self, epoch: SupportsIndex | None = None) -> list[Step]:
        """What ran in an epoch, by default the present one, in its order.

        Nothing of an epoch that another process made, or that is forgotten: 65,536 steps are remembered.

        Raises:
            EpochNotFound: the epoch is not yet.
        """
        return trace(self, self.epoch if epoch is None else epoch)

    def counters(self) -> dict[str, Counters]:
        """How often each page that follows from others was looked at since the bus was opened, by name.

        Of this branch, by this process; what came of it and how long it took is in them, too.
        """
        return counters(self)

    def stepping(
        self,
        source: str | None = None,
        intent: Any = None,
        isolation: Literal["snapshot", "serializable"] = "snapshot",
        durability: Literal["memory", "process", "disk"] | None = None,
    ) -> Stepping:
        """A transaction that makes what follows from its writes one page at a time, when it is told to.

            with bus.stepping() as s:
                bus["a"][0] = 1
                while s.pending:
                    print(s.step())

        `s.pending` has the pages that are looked at next, `s.step()` looks at one and tells what came of it.
        Pages that are read meanwhile show how far that is. Writing again begins anew: what was made so far is
        made again. A step makes its page from all rows, so those are its `rows_in`. At the end of the block
        the commit makes everything, the rules that ran in steps run once more; after an exception nothing
        happened.

        Args:
            source: as of `transaction`, as all that follows.
            intent: why.
            isolation: what it is protected from.
            durability: what it must survive.

        Raises:
            WrongTransaction: as it is entered, where a transaction is open on this branch.
        """
        text("isolation", isolation)
        survives = perhaps_text("durability", durability)
        begun = self._transaction(perhaps_text("source", source), reason(intent), isolation, survives)
        return Stepping(self, begun)

    def perfetto(
        self,
        path: "str | os.PathLike[str]",
        *,
        since: SupportsIndex | None = None,
        until: SupportsIndex | None = None,
        by_time: bool = False,
    ) -> int:
        """Writes what ran to a file of trace events, which ui.perfetto.dev and chrome://tracing show.

        A slice a step, with why and what came of it, on a track a level; above them a slice an epoch, with
        its source and intent; arrows from what changed to what followed. In an epoch steps lie end to end:
        how long each took is measured, when it began is not. Of what ran on this branch by this process
        65,536 steps are remembered.

        Args:
            path: of the file, which is replaced.
            since: from this epoch on; by default the first that is remembered.
            until: up to and with this epoch.
            by_time: epochs lie where their commits were made; by default side by side, 1 us apart.

        Returns:
            How many epochs are in it: those in which something ran.
        """
        return perfetto(self, path, since, until, by_time)

    def explain(self, page: Key) -> Explanation:
        """Why a page is what it is: its rule, its inputs, and what made it last. `print` it."""
        return explain(self, page)

    def provenance(
        self, page: Key, row: SupportsIndex | None = None, *, epoch: SupportsIndex | None = None
    ) -> Provenance:
        """Which commits and pages made a value what it is, by the log, back to what was written.

        `print` it.

        Args:
            page: the page, its name or its id.
            row: one of its rows; by default all.
            epoch: when; by default now.
        """
        return provenance(self, page, row, epoch)

    def graph(self) -> "rustworkx.PyDiGraph[dict[str, Any], dict[str, str]]":
        """Pages and what follows from what, as a `rustworkx.PyDiGraph`.

        Nodes are mappings with `page`, `id`, `rule`, `kind` and `stale`; edges with `kind`: "data",
        "control", "device" or "compiler". Pages that have no part in any rule are not in it.
        """
        return graph(self)
