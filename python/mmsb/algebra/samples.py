"""Values that laws are sampled on: those at the edges of a dtype, the simplest first, and random ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb.errors import InvalidArgument

SEED = 20_071_207
"""Of all random values, so that declaring the same comes out the same."""

RANDOM = 8192
"""How many triples are drawn at random, beside all triples of edges."""

FEWEST = 2
"""Values there must be to say anything of laws."""

Domain = Callable[[NDArray[Any]], Any]
"""Tells of each cell of an array whether laws are promised for it."""


@dataclass(frozen=True)
class Samples:
    """What stands for `a`, `b` and `c`: of one variable, of two and of three."""

    ones: tuple[NDArray[Any], ...]
    pairs: tuple[NDArray[Any], ...]
    triples: tuple[NDArray[Any], ...]

    def of(self, count: int) -> tuple[NDArray[Any], ...]:
        """Those for a law of so many variables."""
        return (self.ones, self.pairs, self.triples)[count - 1]


def edges(dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values at the edges of a dtype and some ordinary ones, the simplest first."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "f":
        far = largest(dtype)
        plain = [1, 0, 2, -1, 3, 0.5, -0.25, 7.5, -0.0, 1e-3, far, -far, float(np.finfo(dtype).eps)]
        return np.array([*plain, np.inf, -np.inf, np.nan], dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    plain = [1, 0, 2, 3, -1, -2, 7, -7, 9, high // 8, low // 8, high // 2 + 1, high - 1, high, low + 1, low]
    return np.array(list(dict.fromkeys(one for one in map(int, plain) if low <= one <= high)), dtype)


def largest(dtype: np.dtype[Any]) -> float:
    """The largest float of which three can be multiplied."""
    return float(2.0 ** (int(np.finfo(dtype).maxexp) // 4))


def drawn(dtype: np.dtype[Any], rng: np.random.Generator, count: int) -> NDArray[Any]:
    """Random values: small ones, ones of every size and, of integers, any bits."""
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(bool)
    if dtype.kind == "f":
        small = rng.integers(-800, 800, count) / 8
        sized = rng.normal(size=count) * 2.0 ** rng.uniform(-12, 12, count)
        unit = rng.random(count)
        which = rng.integers(0, 3, count)
        chosen = np.choose(which, [small, sized, unit])
        floats: NDArray[Any] = np.clip(chosen, -largest(dtype), largest(dtype)).astype(dtype)
        return floats
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    small = rng.integers(max(low, -100), min(high, 100), count, endpoint=True).astype(dtype)
    bits = rng.integers(low, high, count, dtype=dtype, endpoint=True)
    sized = (bits >> rng.integers(0, dtype.itemsize * 8, count).astype(dtype)).astype(dtype)
    return np.choose(rng.integers(0, 3, count), [small, bits, sized]).astype(dtype)


def within(
    whose: str, values: NDArray[Any], domain: Domain | None, constants: NDArray[Any]
) -> NDArray[np.bool_]:
    """Which values laws are promised for.

    Without a domain these are all but, of floats, those too large to be multiplied, infinities and NaN: of
    those only zero and one, whatever they are.
    """
    if domain is None:
        if values.dtype.kind != "f":
            return np.ones(values.shape, bool)
        with np.errstate(all="ignore"):
            plain = np.abs(values) <= largest(values.dtype)
        kept: NDArray[np.bool_] = plain | np.isin(values, constants)
        return kept
    lent = values.view()
    lent.flags.writeable = False
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(domain(lent))
    except Exception as error:
        raise InvalidArgument(f"{whose}: the domain raised {type(error).__name__}: {error}") from error
    if found.shape != values.shape or found.dtype != np.bool_:
        raise InvalidArgument(
            f"{whose}: the domain made {found.dtype} of shape {found.shape} of {values.size} values: "
            "it takes an array and tells of each cell whether it is in it"
        )
    return found


def _every(values: NDArray[Any], count: int) -> list[NDArray[Any]]:
    """Every choice of so many of them, as columns, the first ones changing slowest."""
    places = np.indices((len(values),) * count).reshape(count, -1)
    # Simple choices first: by the place of the least simple of each.
    order = np.argsort(places.max(axis=0), kind="stable")
    return [values[place[order]] for place in places]


def samples(
    whose: str,
    dtype: np.dtype[Any],
    constants: NDArray[Any],
    domain: Domain | None,
    more: NDArray[Any],
) -> Samples:
    """Values to hold laws to: of one byte all single ones and pairs, else edges and random ones."""
    rng = np.random.default_rng(SEED)
    pool = np.concatenate([edges(dtype), constants, more[:8]])
    # Not `unique`: NaN and both zeros are to stay, and so is the order.
    pool = pool[np.sort(np.unique(pool.view(f"u{dtype.itemsize}"), return_index=True)[1])]
    pool = pool[within(whose, pool, domain, constants)]
    any_value = drawn(dtype, rng, 4 * RANDOM)
    if dtype.itemsize == 1 and dtype.kind != "b":
        any_value = np.arange(256).astype("u1").view(dtype)
    rest = np.concatenate([more[8:], any_value])
    rest = rest[within(whose, rest, domain, constants)]
    every = np.concatenate([pool, rest])
    if len(every) < min(FEWEST, 2):
        raise InvalidArgument(
            f"{whose}: of {len(any_value) + len(more)} values of {dtype} the domain has {len(every)}: "
            "hand some of it in by samples="
        )
    triples = _choices(pool, every, rng, 3)
    if dtype.itemsize > 1:
        return Samples((every,), _choices(pool, every, rng, 2), triples)
    exhaustive = tuple(_every(np.concatenate([pool, np.setdiff1d(rest, pool)]), 2))
    return Samples((every,), exhaustive, triples)


def _choices(
    pool: NDArray[Any], every: NDArray[Any], rng: np.random.Generator, count: int
) -> tuple[NDArray[Any], ...]:
    """All choices of the pool, and random ones of all."""
    drawn_at = rng.integers(0, len(every), (count, RANDOM))
    return tuple(
        np.concatenate([chosen, every[at]]) for chosen, at in zip(_every(pool, count), drawn_at, strict=True)
    )
