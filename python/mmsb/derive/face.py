"""What a bus has for pages that follow from others."""

from collections.abc import Callable, Mapping
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

from numpy.typing import DTypeLike

from mmsb._core import Bus as CoreBus
from mmsb._core import Page, _release
from mmsb.derive.declare import Key, declare, declare_by
from mmsb.derive.explain import Explanation, Step, explain, trace
from mmsb.derive.expression import Expression, express
from mmsb.derive.graph import graph
from mmsb.derive.provenance import Provenance, provenance
from mmsb.derive.rule import Rule
from mmsb.errors import InvalidArgument
from mmsb.layout import Columns, Shape

if TYPE_CHECKING:
    import rustworkx


class Deriving(CoreBus):
    """A bus whose pages may follow from others."""

    __slots__ = ()

    def derive(
        self,
        name: str,
        rule: Callable[..., Any] | Rule | Expression | Mapping[str, Any] | None = None,
        *,
        inputs: Any = (),
        after: Any = (),
        shape: Shape | None = None,
        dtype: DTypeLike | None = None,
        rows: int | None = None,
        columns: Columns | None = None,
        changed: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Makes a page that follows from others, or has one that does follow from something else.

        From now on every commit that changes an input changes the page too, in the same epoch; where it comes
        out as it was, what follows from it is not looked at. Without a rule this is a decorator:

            @bus.derive("speed", inputs=[velocity], shape=(1000,), dtype="float32")
            def speed(velocity):
                return np.linalg.norm(velocity, axis=1)

        A function gets a read-only array for each input, of a table a mapping of arrays by column, lent for
        the call; it returns an array of the page's shape, for a table a mapping of them. For the same inputs
        it must return the same. It is not stored: a process that has not declared it leaves the page stale.

        Args:
            name: of the page. A page of this name that follows from others gets this rule instead.
            rule: a function; a built-in rule such as `mmsb.reduce(book["qty"], "sum")`; an expression
                of columns, `mmsb.col(book["price"]) * mmsb.col(book["qty"])`, or a mapping of some by column.
            inputs: pages, their names or ids, in the order in which a function takes them.
            after: pages whose change marks this one as stale, without making it.
            shape: of an array page that a function makes; with `dtype`.
            dtype: anything numpy takes.
            rows: of a table that a function makes; with `columns`.
            columns: dtype by name, as `create_page` takes them.
            changed: the function also takes `changed`, a tuple with an array of truth values for each input
                that tells which rows changed, and may return `(rows, values)`: a mask of rows, or their
                numbers, and what they hold now.
            timeout: seconds after which a function is stopped.

        Returns:
            The page; as a decorator what makes it of a function.

        Raises:
            RuleError: the function raised, keeps or writes what it was lent, uses the bus, or returns a wrong
                shape or dtype; then nothing was changed.
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
            return declare_by(self, name, rule, after)

        def made(function: Callable[..., Any]) -> Page:
            layout = (shape, dtype, rows, columns)
            return declare(self, name, function, inputs, after, layout, changed, timeout)

        return made if rule is None else made(rule)

    def release(self, page: Key) -> None:
        """Has a page follow from nothing any more: its cells stay, and may be written."""
        _release(self, page)

    def trace(self, epoch: SupportsIndex | None = None) -> list[Step]:
        """What ran in an epoch, by default the present one, in its order.

        Nothing of an epoch that another process made, or that is forgotten: 65,536 steps are remembered.
        """
        return trace(self, self.epoch if epoch is None else index(epoch))

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
        at = None if epoch is None else index(epoch)
        return provenance(self, page, None if row is None else index(row), at)

    def graph(self) -> "rustworkx.PyDiGraph[dict[str, Any], dict[str, str]]":
        """Pages and what follows from what, as a `rustworkx.PyDiGraph`.

        Nodes are mappings with `page`, `id`, `rule`, `kind` and `stale`; edges with `kind`: "data",
        "control", "device" or "compiler". Pages that have no part in any rule are not in it.
        """
        return graph(self)
