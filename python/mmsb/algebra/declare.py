"""Monoids and semirings of users' own, held to their laws as they are declared."""

import ast
from collections.abc import Iterable
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mmsb.algebra.kinds import (
    MONOIDS,
    SEMIRINGS,
    Monoid,
    MonoidFamily,
    Semiring,
    SemiringFamily,
    builtin_monoid,
    builtin_semiring,
)
from mmsb.algebra.laws import claimed, hold
from mmsb.algebra.operation import Binary, Operation, cell, cell_dtype
from mmsb.algebra.samples import Domain, samples, within
from mmsb.errors import InvalidArgument
from mmsb.given import text


def _checked(
    what: str, name: str, taken: Iterable[str], given: dict[str, Any], domain: Any, more: Any
) -> tuple[str, np.dtype[Any], NDArray[Any]]:
    """Who is declared, the dtype, and the samples that were handed in."""
    whose = f"{what} {text('name', name)!r}"
    if name in taken:
        raise InvalidArgument(f"{whose} is built in: take another name")
    missing = [word for word, value in given.items() if value is None]
    if missing:
        raise InvalidArgument(f"{whose}: {', '.join(missing)} must be said too")
    if domain is not None and not callable(domain):
        raise InvalidArgument(f"{whose}: domain {domain!r} is no function")
    dtype = cell_dtype(whose, given["dtype"])
    cells = [cell(f"{whose}: sample", one, dtype) for one in (() if more is None else np.ravel(more))]
    return f"{whose} on {dtype}", dtype, np.array(cells, dtype)


@overload
def monoid(name: str) -> MonoidFamily: ...
@overload
def monoid(
    name: str,
    operation: Binary,
    identity: Any,
    dtype: DTypeLike,
    *,
    claims: str | Iterable[str] = (),
    scalar: bool = False,
    domain: Domain | None = None,
    samples: Any = None,
) -> Monoid: ...
def monoid(
    name: str,
    operation: Binary | None = None,
    identity: Any = None,
    dtype: DTypeLike | None = None,
    *,
    claims: str | Iterable[str] = (),
    scalar: bool = False,
    domain: Domain | None = None,
    samples: Any = None,
) -> Monoid | MonoidFamily:
    """A commutative monoid: a built-in one by its name alone, or one of one's own.

    One's own is held to its laws here: it must be associative and commutative, and the identity must change
    nothing, for every choice of values at the edges of the dtype and for thousands drawn at random, always
    the same; of one byte for all pairs. That finds what is wrong with most operations, and proves nothing:
    a law that is broken for few values may be missed.

        larger = mmsb.monoid("hypot", np.hypot, 0.0, "float64", domain=lambda a: (a >= 0) & (a < 1e70))

    Args:
        name: of a built-in one, "sum", "prod", "min", "max", "or", "and", "xor" or "logsum"; else any other.
        operation: a ufunc of numpy's, or a function of two arrays of one shape and the dtype that makes one
            of that shape and dtype. For the same values it must make the same; it must not keep them.
        identity: what changes nothing.
        dtype: bool, an integer or a float: of the cells, and of what the operation makes of them.
        claims: what else holds, any of "idempotent", "selective", "total order" and "exact". Floats that are
            not exact are compared up to the rounding of all that is brought together; exact ones bit for bit.
        scalar: the operation takes and makes plain numbers. It is called for each cell, which is slow.
        domain: a function of an array that tells for which of its cells the laws are promised. By default
            all, but of floats infinities, NaN, and those of which three cannot be multiplied.
        samples: values to hold it to beside the others.

    Returns:
        The monoid: for `mmsb.reduce`, `page.merge(op=)`, and everything in `mmsb.algebra`. Built in, the
        family of all its dtypes.

    Raises:
        BrokenLaw: a law does not hold; the message has the values.
        InvalidArgument: the operation raises, or comes out different each time; a claim is unknown.
        ShapeError, DtypeError: the operation makes another shape or dtype than it takes.
    """
    if operation is None and identity is None and dtype is None:
        return builtin_monoid(text("name", name))
    said = {"operation": operation, "identity": identity, "dtype": dtype}
    whose, kind, more = _checked("monoid", name, MONOIDS, said, domain, samples)
    assert operation is not None
    plus, nothing = Operation(operation, kind, scalar), cell(f"{whose}: identity", identity, kind)
    traits = claimed(whose, claims, kind, monoid=True)
    laws = _hold(whose, {ast.Add: plus}, {0: nothing}, traits, domain, more)
    return Monoid(name, kind, plus.name, nothing, traits, laws, plus)


@overload
def semiring(name: str) -> SemiringFamily: ...
@overload
def semiring(
    name: str,
    add: Binary,
    multiply: Binary,
    zero: Any,
    one: Any,
    dtype: DTypeLike,
    *,
    claims: str | Iterable[str] = (),
    scalar: bool = False,
    domain: Domain | None = None,
    samples: Any = None,
) -> Semiring: ...
def semiring(
    name: str,
    add: Binary | None = None,
    multiply: Binary | None = None,
    zero: Any = None,
    one: Any = None,
    dtype: DTypeLike | None = None,
    *,
    claims: str | Iterable[str] = (),
    scalar: bool = False,
    domain: Domain | None = None,
    samples: Any = None,
) -> Semiring | SemiringFamily:
    """A semiring (Golan, *Semirings and their Applications*, 1999): a built-in one by name, or one's own.

    One's own is held to its laws as a monoid is: `add` is a commutative monoid with `zero`, `multiply` is a
    monoid with `one` that distributes over it from both sides, and `zero` annihilates.

        fuzzy = mmsb.semiring("lukasiewicz", np.maximum, lambda a, b: np.maximum(0, a + b - 1), 0.0, 1.0,
                              "float64", claims=["absorptive"], domain=lambda a: (a >= 0) & (a <= 1))

    Args:
        name: of a built-in one, "boolean", "min_plus", "max_plus", "max_times", "viterbi", "max_min",
            "plus_times", "counting", "log" or "gf2"; else any other.
        add: what brings alternatives together, as the operation of `mmsb.monoid`.
        multiply: what steps along a way, likewise.
        zero: the identity of `add`.
        one: the identity of `multiply`.
        dtype: as of `mmsb.monoid`.
        claims: what else holds, any of those of `mmsb.monoid`, "commutative" (`multiply`), and "absorptive"
            (`a + a*b = a`, which `mmsb.closure` asks for).
        scalar: as of `mmsb.monoid`.
        domain: as of `mmsb.monoid`.
        samples: as of `mmsb.monoid`.

    Returns:
        The semiring: for `mmsb.matmul`, `mmsb.spmv`, `mmsb.closure`, and everything in `mmsb.algebra`. Built
        in, the family of all its dtypes.

    Raises:
        BrokenLaw: a law does not hold; the message has the values.
        InvalidArgument, ShapeError, DtypeError: as of `mmsb.monoid`.
    """
    said = {"add": add, "multiply": multiply, "zero": zero, "one": one, "dtype": dtype}
    if all(value is None for value in said.values()):
        return builtin_semiring(text("name", name))
    whose, kind, more = _checked("semiring", name, SEMIRINGS, said, domain, samples)
    assert add is not None
    assert multiply is not None
    plus, times = Operation(add, kind, scalar), Operation(multiply, kind, scalar)
    cells = {0: cell(f"{whose}: zero", zero, kind), 1: cell(f"{whose}: one", one, kind)}
    traits = claimed(whose, claims, kind, monoid=False)
    laws = _hold(whose, {ast.Add: plus, ast.Mult: times}, cells, traits, domain, more)
    operations = (plus, times)
    return Semiring(name, kind, plus.name, times.name, cells[0], cells[1], traits, laws, operations, domain)


def _hold(
    whose: str,
    operations: dict[type[ast.operator], Operation],
    constants: dict[int, np.generic],
    traits: frozenset[str],
    domain: Domain | None,
    more: NDArray[Any],
) -> tuple[str, ...]:
    given = np.array(list(constants.values()), more.dtype)
    chosen = samples(whose, more.dtype, given, domain, more)
    # Without a domain they are in it, whatever they are.
    if domain is not None:
        names = ("identity",) if len(given) == 1 else ("zero", "one")
        for what, value, inside in zip(names, given, within(whose, given, domain, given), strict=True):
            if not inside:
                raise InvalidArgument(f"{whose}: its {what} {value.item()!r} is outside its domain")
    return hold(whose, operations, constants, traits, chosen)
