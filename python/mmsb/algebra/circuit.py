"""Provenance as a circuit: sums and products of sources that are worked out in any semiring.

The polynomials N[X] of Green, Karvounarakis and Tannen ("Provenance Semirings", PODS 2007), each sum and
product kept once (Deutch, Milo, Roy, Tannen, "Circuits for Datalog Provenance", ICDT 2014).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmsb._core import _Circuit
from mmsb.algebra.kinds import AnySemiring, Semiring, SemiringFamily, builtin_semiring, semiring_on
from mmsb.algebra.operation import cell, cell_dtype
from mmsb.errors import InvalidArgument


class Node:
    """What came of sources: `a + b` of either, `a * b` of both. The same sum or product is the same node."""

    __slots__ = ("circuit", "number")

    def __init__(self, circuit: "Circuit", number: int) -> None:
        self.circuit, self.number = circuit, number

    def __add__(self, other: "Node | int") -> "Node":
        return self.circuit._made("plus", self, other)

    def __mul__(self, other: "Node | int") -> "Node":
        return self.circuit._made("times", self, other)

    # So that `sum` and `math.prod` of nodes work, which begin with 0 and 1.
    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and (self.circuit, self.number) == (other.circuit, other.number)

    def __hash__(self) -> int:
        return hash((id(self.circuit), self.number))

    def __repr__(self) -> str:
        return f"<Node {self.number} of a circuit of {len(self.circuit)} gates>"


class Circuit:
    """Sums and products of sources, each written down once.

    c = mmsb.algebra.Circuit()
    a, b, d = (c.source(name) for name in ("a", "b", "d"))
    way = a * b + d
    c.why(way)                                                  # {{"a", "b"}, {"d"}}
    c.evaluate(way, {"a": 2, "b": 3, "d": 9}, "min_plus")       # 5.0: the shortest
    c.evaluate(way, lambda source: 1, "counting")               # 2: how many
    """

    def __init__(self) -> None:
        self._core = _Circuit()
        self._labels: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}
        self.zero = Node(self, 0)
        """Of nothing."""
        self.one = Node(self, 1)
        """Of no source at all."""

    def __len__(self) -> int:
        """Gates, two of which are zero and one."""
        return len(self._core)

    def source(self, label: Hashable) -> Node:
        """The node of a source, whatever it is called; the same for the same label."""
        number = self._numbers.setdefault(label, len(self._labels))
        if number == len(self._labels):
            self._labels.append(label)
        return Node(self, self._core.source(number))

    def _own(self, node: "Node | int") -> int:
        if isinstance(node, Node) and node.circuit is self:
            return node.number
        if node in (0, 1) and not isinstance(node, Node):
            return int(node)
        raise InvalidArgument(f"{node!r} is no node of this circuit")

    def _made(self, how: str, one: "Node | int", other: "Node | int") -> Node:
        make = self._core.plus if how == "plus" else self._core.times
        return Node(self, make(self._own(one), self._own(other)))

    def sources(self, node: Node) -> tuple[Hashable, ...]:
        """The sources that a node depends on, in the order in which the circuit met them."""
        return tuple(self._labels[number] for number in self._core.sources(self._own(node)))

    def why(self, node: Node) -> frozenset[frozenset[Hashable]]:
        """The sets of sources that each suffice (Buneman, Khanna and Tan, "Why and Where", ICDT 2001).

        There may be exponentially many of what is a small circuit.
        """
        found = self._core.why(self._own(node))
        return frozenset(frozenset(self._labels[number] for number in each) for each in found)

    @overload
    def evaluate(
        self,
        nodes: Node,
        values: Mapping[Any, Any] | Callable[[Any], Any],
        semiring: AnySemiring,
        dtype: DTypeLike | None = None,
    ) -> Any: ...
    @overload
    def evaluate(
        self,
        nodes: Sequence[Node],
        values: Mapping[Any, Any] | Callable[[Any], Any],
        semiring: AnySemiring,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]: ...
    def evaluate(
        self,
        nodes: Node | Sequence[Node],
        values: Mapping[Any, Any] | Callable[[Any], Any],
        semiring: AnySemiring,
        dtype: DTypeLike | None = None,
    ) -> Any:
        """What nodes come to in a semiring. Each gate they need is worked out once, however deep.

        Args:
            nodes: a node, or several.
            values: of each source they depend on: a mapping by label, or a function of the label.
            semiring: a built-in one by name, or what `mmsb.semiring` makes.
            dtype: of a built-in one, in which; by default float64 where it is on that, else its first.

        Returns:
            A scalar, or an array with a cell for each of several nodes.

        Raises:
            InvalidArgument: a source has no value, or a node is another circuit's.
            ValueRangeError, DtypeError: a value does not fit; the semiring is not on the dtype.
        """
        several = not isinstance(nodes, Node)
        numbers = [self._own(node) for node in (nodes if isinstance(nodes, Sequence) else [nodes])]
        by = _on(semiring, dtype)
        gates = self._core.gates(numbers)
        given = np.full(len(self._labels), by.zero, by.dtype)
        for _, kind, number, _ in gates:
            if kind == "source":
                given[number] = self._value(self._labels[number], values, by)
        if by.operations is None:
            made = self._core.evaluate(by.name, numbers, given)
        else:
            made = _by_levels(by, gates, given, numbers)
        return made if several else made[0]

    def _value(self, label: Hashable, values: Any, by: Semiring) -> np.generic:
        try:
            value = values(label) if callable(values) else values[label]
        except (KeyError, IndexError):
            raise InvalidArgument(f"source {label!r} has no value") from None
        return cell(f"source {label!r}:", value, by.dtype)

    def __repr__(self) -> str:
        return f"<Circuit of {len(self._labels)} sources, {len(self)} gates>"


def _on(semiring: AnySemiring, dtype: DTypeLike | None) -> Semiring:
    """A semiring on a dtype, which may be left out."""
    if isinstance(semiring, Semiring):
        return semiring if dtype is None else semiring_on(semiring, cell_dtype("semiring", dtype))
    family = semiring if isinstance(semiring, SemiringFamily) else builtin_semiring(semiring)
    if dtype is not None:
        return family[dtype]
    wanted = np.dtype("f8")
    return family[wanted if wanted in family.dtypes else family.dtypes[0]]


def _by_levels(
    by: Semiring, gates: list[tuple[int, str, int, int]], given: NDArray[Any], numbers: list[int]
) -> NDArray[Any]:
    """What nodes come to by operations of users' own: all gates of one depth and kind at once."""
    assert by.operations is not None
    plus, times = by.operations
    place = {gate[0]: at for at, gate in enumerate(gates)}
    values = np.full(len(gates), by.zero, by.dtype)
    depth = [0] * len(gates)
    levels: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
    for at, (_, kind, a, b) in enumerate(gates):
        if kind == "one":
            values[at] = by.one
        elif kind == "source":
            values[at] = given[a]
        elif kind != "zero":
            one, other = place[a], place[b]
            depth[at] = 1 + max(depth[one], depth[other])
            levels.setdefault((depth[at], kind), []).append((at, one, other))
    for (_, kind), made in sorted(levels.items()):
        at, one, other = np.array(made).T
        values[at] = (plus if kind == "plus" else times)(values[one], values[other])
    return values[[place[number] for number in numbers]]
