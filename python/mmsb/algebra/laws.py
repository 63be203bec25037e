"""The laws of monoids and semirings, as the core lists them, held to operations of users' own.

The list is the core's (`law.rs`); its formulas are read here and worked out on whole arrays of samples.
"""

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb._core import _laws
from mmsb.algebra.operation import Operation
from mmsb.algebra.samples import Samples
from mmsb.errors import BrokenLaw, InvalidArgument, MmsbError

_ROUNDINGS = 4
"""Units in the last place, of all that was brought together, by which float operations may be off."""

_IMPLIED = {
    "total order": ("selective", "idempotent"),
    "selective": ("idempotent",),
    "absorptive": ("idempotent",),
}
"""What follows from a trait: `a + a*1 = a` is `a + a = a`."""


@dataclass(frozen=True)
class Law:
    """A law of the core's list: its formula's left side, and what that may be equal to."""

    name: str
    formula: str
    needs: str | None
    left: ast.expr
    rights: tuple[ast.expr, ...]

    @classmethod
    def read(cls, name: str, formula: str, needs: str | None) -> "Law":
        """A law of `left = right`, or of `left is one or another`."""
        left, right = (
            ast.parse(side, mode="eval").body for side in formula.replace(" is ", " = ").split(" = ")
        )
        rights = tuple(right.values) if isinstance(right, ast.BoolOp) else (right,)
        return cls(name, formula, needs, left, rights)

    def _nodes(self) -> Iterable[ast.AST]:
        return (node for side in (self.left, *self.rights) for node in ast.walk(side))

    @property
    def variables(self) -> tuple[str, ...]:
        """`a`, or `a` and `b`, or all three."""
        return tuple(sorted({node.id for node in self._nodes() if isinstance(node, ast.Name)}))

    @property
    def constants(self) -> tuple[int, ...]:
        """0 and 1, as far as they are in it."""
        return tuple(sorted({int(node.value) for node in self._nodes() if isinstance(node, ast.Constant)}))  # type: ignore[arg-type]

    @property
    def is_of_monoids(self) -> bool:
        """Whether nothing in it is multiplied."""
        return 1 not in self.constants and not any(isinstance(node, ast.Mult) for node in self._nodes())


LAWS = tuple(Law.read(*told) for told in _laws())
"""Every law there is."""


def claimed(whose: str, claims: str | Iterable[str], dtype: np.dtype[Any], monoid: bool) -> frozenset[str]:
    """Traits that are claimed, and what follows from them."""
    given = (claims,) if isinstance(claims, str) else claims
    known = {law.needs for law in LAWS if law.needs and (law.is_of_monoids or not monoid)} | {"exact"}
    found = {"exact"} if dtype.kind != "f" else set()
    for claim in given:
        trait = str(claim).replace("_", " ")
        if trait not in known and not (monoid and trait == "commutative"):
            raise InvalidArgument(f"{whose}: {claim!r} cannot be claimed: {', '.join(sorted(known))}")
        found |= {trait, *_IMPLIED.get(trait, ())}
    return frozenset(found | {"commutative"} if monoid else found)


@dataclass
class _Sides:
    """What works out the sides of a law, and how large all was that came between."""

    operations: Mapping[type[ast.operator], Operation]
    constants: Mapping[int, np.generic]
    values: Mapping[str, NDArray[Any]]
    size: Any = 0.0

    def of(self, node: ast.expr) -> NDArray[Any]:
        match node:
            case ast.Name(id=name):
                return self.values[name]
            case ast.Constant(value=value):
                return np.broadcast_to(self.constants[int(value)], self.values["a"].shape)  # type: ignore[arg-type]
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self.of(left), self.of(right)
                made = self.operations[type(op)](one, other)
                if made.dtype.kind == "f":
                    self.size = self.size + sum(_size(each) for each in (one, other, made))
                return made
        raise AssertionError(ast.dump(node))


def _size(values: NDArray[Any]) -> NDArray[np.float64]:
    """How large floats are, of which infinities bring no rounding along."""
    wide = np.abs(values.astype(np.float64))
    return np.where(np.isfinite(wide), wide, 0.0)


def same(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays have the same bits; any NaN is as any other."""
    if left.dtype.kind != "f":
        equal: NDArray[np.bool_] = left == right
        return equal
    bits = f"u{left.dtype.itemsize}"
    alike = np.ascontiguousarray(left).view(bits) == np.ascontiguousarray(right).view(bits)
    found: NDArray[np.bool_] = alike.reshape(left.shape) | (np.isnan(left) & np.isnan(right))
    return found


def _agree(left: NDArray[Any], right: NDArray[Any], size: Any, exact: bool) -> NDArray[np.bool_]:
    """Where both sides are equal: bit for bit, or up to the rounding of all that was brought together."""
    if exact or left.dtype.kind != "f":
        return same(left, right)
    with np.errstate(all="ignore"):
        apart = np.abs(left.astype(np.float64) - right.astype(np.float64))
        near = apart <= _ROUNDINGS * float(np.finfo(left.dtype).eps) * size
    found: NDArray[np.bool_] = same(left, right) | (left == right) | near
    return found


def hold(
    whose: str,
    operations: Mapping[type[ast.operator], Operation],
    constants: Mapping[int, np.generic],
    traits: frozenset[str],
    samples: Samples,
) -> tuple[str, ...]:
    """Holds operations to the laws of a monoid, or of a semiring, with these traits.

    Returns:
        The formulas of the laws.

    Raises:
        BrokenLaw: one of them is broken, by the values that it names.
        InvalidArgument, ShapeError, DtypeError: an operation raises, or is no function of its arguments.
    """
    monoid = len(operations) == 1
    laws = [law for law in LAWS if law.is_of_monoids or not monoid]
    laws = [law for law in laws if law.needs is None or law.needs in traits]
    for operation in operations.values():
        _trusted(whose, lambda op=operation: _is_function(whose, op, samples.pairs))  # type: ignore[misc]
    for law in laws:
        _trusted(whose, lambda law=law: _hold(whose, law, operations, constants, traits, samples))  # type: ignore[misc]
    return tuple(dict.fromkeys(law.formula for law in laws))


def _trusted(whose: str, check: Callable[[], None]) -> None:
    """Runs a check; what users' functions raise in it is said to be theirs."""
    try:
        check()
    except MmsbError as error:
        if isinstance(error, BrokenLaw):
            raise
        raise type(error)(f"{whose}: {error}") from error.__cause__
    except Exception as error:
        raise InvalidArgument(f"{whose}: an operation raised {type(error).__name__}: {error}") from error


def _is_function(whose: str, operation: Operation, pairs: tuple[NDArray[Any], ...]) -> None:
    a, b = (column[:512] for column in pairs)
    differ = np.flatnonzero(~same(operation(a, b), operation(a, b)))
    if differ.size:
        at = differ[0]
        raise InvalidArgument(
            f"{operation.name} of {a[at].item()!r} and {b[at].item()!r} comes out differently each time"
        )


def _hold(
    whose: str,
    law: Law,
    operations: Mapping[type[ast.operator], Operation],
    constants: Mapping[int, np.generic],
    traits: frozenset[str],
    samples: Samples,
) -> None:
    names = law.variables
    values = dict(zip(names, samples.of(len(names)), strict=True))
    sides = _Sides(operations, constants, values)
    left = sides.of(law.left)
    rights = [sides.of(right) for right in law.rights]
    agree = [_agree(left, right, sides.size, "exact" in traits) for right in rights]
    broken = np.flatnonzero(~np.logical_or.reduce(agree))
    if not broken.size:
        return
    at = int(broken[0])
    found = {name: column[at].item() for name, column in values.items()}
    shown = ", ".join(f"{name} = {value!r}" for name, value in found.items())
    stand = ", ".join(f"{number} stands for {constants[number].item()!r}" for number in law.constants)
    one, other = left[at].item(), rights[0][at].item()
    error = BrokenLaw(
        f"{whose} breaks a law: {law.name}, {law.formula}, does not hold: with {shown}"
        f"{f', where {stand},' if stand else ''} the left side is {one!r} and the right side {other!r}"
    )
    error.law, error.formula, error.values = law.name, law.formula, found
    error.left, error.right = one, other
    raise error
