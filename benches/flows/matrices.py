"""Matrices and vectors that everybody is given, and what their products must be."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from flows.workloads import ENTRIES

Floats = NDArray[np.float64]


@cache
def sparse(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """Starts, columns and values: so many entries a row, one in each of as many blocks of columns."""
    dice = np.random.default_rng(rows)
    block = rows // ENTRIES
    columns = dice.integers(0, block, (rows, ENTRIES)) + np.arange(ENTRIES) * block
    starts = np.arange(rows + 1, dtype="int64") * ENTRIES
    return starts, columns.ravel().astype("int32"), dice.random(rows * ENTRIES)


@cache
def dense(rows: int) -> Floats:
    """A square."""
    return np.random.default_rng(rows).random((rows, rows))


@cache
def vectors(rows: int) -> list[Floats]:
    """Two vectors with no cell alike."""
    dice = np.random.default_rng(rows + 1)
    return [dice.random(rows), dice.random(rows) + 1]


def product(semiring: str, rows: int, vector: Floats) -> Floats:
    """A sparse matrix times a vector, plainly."""
    _, columns, values = sparse(rows)
    cells, given = values.reshape(rows, ENTRIES), vector[columns].reshape(rows, ENTRIES)
    if semiring == "plus_times":
        return np.asarray((cells * given).sum(axis=1))
    terms = cells + given
    return np.asarray(terms.min(axis=1) if semiring == "min_plus" else terms.max(axis=1))


def agree(semiring: str, found: Floats, wanted: Floats) -> None:
    """An error where a product is another: to the bit, but where floats are added up."""
    same = np.allclose(found, wanted, rtol=1e-13) if semiring == "plus_times" else (found == wanted).all()
    if found.shape != wanted.shape or not same:
        raise AssertionError(f"{semiring}: the product is not what numpy says")


@cache
def chosen(many: int, rows: int) -> NDArray[np.int64]:
    """The cells of a vector that get better, ascending."""
    return np.sort(np.random.default_rng(many).permutation(rows)[:many])


def better(many: int, rows: int, step: int) -> Floats:
    """What they become at a step: less than ever before, by a number that adds without rounding."""
    return vectors(rows)[0][chosen(many, rows)] - (step + 1) / 1024.0
