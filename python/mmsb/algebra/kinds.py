"""Monoids and semirings as Python has them: those of the core, described, and those that users bring."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmsb._core import _monoids, _semirings
from mmsb.algebra.operation import Operation
from mmsb.algebra.samples import Domain
from mmsb.errors import DtypeError, InvalidArgument


@dataclass(frozen=True, eq=False)
class Monoid:
    """An operation on cells of one dtype that is associative and commutative, with an identity.

    One that a user brought can be called with two arrays, which are broadcast.
    """

    name: str
    dtype: np.dtype[Any]
    operation: str
    """What the operation is called."""
    identity: Any
    """What changes nothing: a scalar of the dtype."""
    capabilities: frozenset[str]
    """Which it has of "commutative", "idempotent", "selective", "invertible", "total order" and "exact"."""
    laws: tuple[str, ...] = ()
    """The formulas that were sampled when it was declared; none of one that is built in."""
    plus: Operation | None = field(default=None, repr=False)
    """The operation; `None` of one that is built in, which is Rust's."""

    @property
    def is_builtin(self) -> bool:
        """Whether it is Rust's."""
        return self.plus is None

    def __call__(self, a: Any, b: Any) -> NDArray[Any]:
        """Brings two arrays together, cell by cell."""
        if self.plus is None:
            raise InvalidArgument(f"monoid {self.name!r} is built in: it is used by name, as in mmsb.reduce")
        return self.plus(np.asarray(a, self.dtype), np.asarray(b, self.dtype))

    def __repr__(self) -> str:
        return f"<Monoid {self.name!r} on {self.dtype}: {', '.join(sorted(self.capabilities))}>"


@dataclass(frozen=True, eq=False)
class Semiring:
    """Two operations on cells of one dtype, of which the second distributes over the first."""

    name: str
    dtype: np.dtype[Any]
    add: str
    """What brings alternatives together is called."""
    multiply: str
    """What steps along a way is called."""
    zero: Any
    """The identity of the one, which annihilates by the other: "there is none"."""
    one: Any
    """The identity of the other."""
    capabilities: frozenset[str]
    """Which it has of those of a monoid, and of "absorptive" and "commutative" of its multiplication."""
    laws: tuple[str, ...] = ()
    """The formulas that were sampled when it was declared; none of one that is built in."""
    operations: tuple[Operation, Operation] | None = field(default=None, repr=False)
    """Both operations; `None` of one that is built in, which are Rust's."""
    domain: Domain | None = field(default=None, repr=False)
    """Which cells the laws are promised for, where its user said so."""

    @property
    def is_builtin(self) -> bool:
        """Whether it is Rust's."""
        return self.operations is None

    def __repr__(self) -> str:
        has = ", ".join(sorted(self.capabilities))
        return f"<Semiring {self.name!r} on {self.dtype}: {self.add}, {self.multiply}; {has}>"


Kind = TypeVar("Kind", bound=Monoid | Semiring)


class _Family(Generic[Kind]):
    """One of each dtype that it is on."""

    __slots__ = ("_by_dtype", "_on", "name")
    _what: str

    def __init__(self, name: str, on: Mapping[str, Kind]) -> None:
        self.name, self._on = name, on
        # A dtype's name takes numpy longer than all the rest of a small product.
        self._by_dtype = {one.dtype: one for one in on.values()}

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """The dtypes it is on."""
        return tuple(one.dtype for one in self._on.values())

    def __getitem__(self, dtype: DTypeLike) -> Kind:
        try:
            return self._by_dtype[np.dtype(dtype)]
        except (TypeError, KeyError):
            said = f"{self._what} {self.name!r} is not for cells of {dtype!r}: {', '.join(self._on)}"
            raise DtypeError(said) from None

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._on.values())


class MonoidFamily(_Family[Monoid]):
    """A built-in monoid, for every dtype that it is on: `family["float64"]` is the one of it."""

    __slots__ = ()
    _what = "monoid"

    def __repr__(self) -> str:
        return f"<monoid {self.name!r} on {', '.join(self._on)}>"


class SemiringFamily(_Family[Semiring]):
    """A built-in semiring, for every dtype that it is on: `family["float64"]` is the one of it."""

    __slots__ = ("add", "multiply")
    _what = "semiring"

    def __init__(self, name: str, add: str, multiply: str, on: Mapping[str, Semiring]) -> None:
        super().__init__(name, on)
        self.add, self.multiply = add, multiply

    def __repr__(self) -> str:
        return f"<semiring {self.name!r}: {self.add}, {self.multiply}; on {', '.join(self._on)}>"


AnyMonoid = str | MonoidFamily | Monoid
"""A built-in monoid by name or as itself, or a user's."""
AnySemiring = str | SemiringFamily | Semiring
"""A built-in semiring by name or as itself, or a user's."""


def _told_monoid(name: str, told: Any) -> MonoidFamily:
    on = {
        dtype.name: Monoid(name, dtype, name, identity, frozenset(traits)) for dtype, identity, traits in told
    }
    return MonoidFamily(name, on)


def _told_semiring(name: str, add: str, multiply: str, told: Any) -> SemiringFamily:
    on = {
        dtype.name: Semiring(name, dtype, add, multiply, zero, one, frozenset(traits))
        for dtype, zero, one, traits in told
    }
    return SemiringFamily(name, add, multiply, on)


MONOIDS = {name: _told_monoid(name, told) for name, told in _monoids()}
"""The built-in ones, by name."""
SEMIRINGS = {name: _told_semiring(name, *names, told) for name, names, told in _semirings()}
"""The built-in ones, by name."""


def builtin_monoid(name: str) -> MonoidFamily:
    """The built-in monoid of this name."""
    if name not in MONOIDS:
        raise InvalidArgument(f"there is no monoid {name!r}: {', '.join(MONOIDS)}")
    return MONOIDS[name]


def builtin_semiring(name: str) -> SemiringFamily:
    """The built-in semiring of this name."""
    if name not in SEMIRINGS:
        raise InvalidArgument(f"there is no semiring {name!r}: {', '.join(SEMIRINGS)}")
    return SEMIRINGS[name]


def monoid_on(given: Any, dtype: np.dtype[Any]) -> Monoid:
    """A monoid, however it was said, that must be on cells of a dtype."""
    if isinstance(given, str):
        given = builtin_monoid(given)
    if isinstance(given, MonoidFamily):
        return given[dtype]
    if not isinstance(given, Monoid):
        raise InvalidArgument(f"monoid {given!r}: a name, or what mmsb.monoid makes, is wanted")
    if given.dtype != dtype:
        raise DtypeError(f"monoid {given.name!r} is on cells of {given.dtype}, not of {dtype}")
    return given


def semiring_on(given: Any, dtype: np.dtype[Any]) -> Semiring:
    """A semiring, however it was said, that must be on cells of a dtype."""
    if isinstance(given, str):
        given = builtin_semiring(given)
    if isinstance(given, SemiringFamily):
        return given[dtype]
    if not isinstance(given, Semiring):
        raise InvalidArgument(f"semiring {given!r}: a name, or what mmsb.semiring makes, is wanted")
    if given.dtype != dtype:
        raise DtypeError(f"semiring {given.name!r} is on cells of {given.dtype}, not of {dtype}")
    return given


def of_users(given: Any) -> bool:
    """Whether it is a monoid or a semiring that a user brought."""
    return isinstance(given, (Monoid, Semiring)) and not given.is_builtin
