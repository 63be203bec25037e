"""Many cells brought together by an operation of users' own, always by the same tree.

The tree is the one of `fold.rs`: a fan-in of 16, each node by halves, of a shape that the number of cells
alone decides. What a node lacks is left out, which is what adding the identity comes to.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsb.algebra.operation import Operation

_FAN_IN = 16
_HALVES = (8, 4, 2, 1)


def fold(plus: Operation, values: NDArray[Any], identity: np.generic) -> NDArray[Any]:
    """Cells along the first axis brought together; the identity where there are none.

    Args:
        plus: the operation.
        values: of shape (n, ...).
        identity: what changes nothing.

    Returns:
        An array of shape (...), of its own. It takes 4 to 8 calls of the operation for each factor 16 of n.
    """
    if len(values) == 0:
        return np.full(values.shape[1:], identity, plus.dtype)
    while len(values) > 1:
        whole = len(values) // _FAN_IN * _FAN_IN
        parts = []
        if whole:
            nodes = values[:whole].reshape(-1, _FAN_IN, *values.shape[1:])
            for half in _HALVES:
                nodes = plus(nodes[:, :half], nodes[:, half:])
            parts.append(nodes[:, 0])
        if whole < len(values):
            parts.append(_node(plus, values[whole:]))
        values = np.concatenate(parts)
    brought: NDArray[Any] = values[0].copy()
    return brought


def _node(plus: Operation, values: NDArray[Any]) -> NDArray[Any]:
    """One node of less than 16 values."""
    for half in _HALVES:
        over = len(values) - half
        if over > 0:
            values = np.concatenate([plus(values[:over], values[half:]), values[over:half]])
    return values


def fold_runs(
    plus: Operation, values: NDArray[Any], starts: NDArray[Any], identity: np.generic
) -> NDArray[Any]:
    """Each run of cells along the first axis brought together, as `fold` does with it alone.

    Args:
        plus: the operation.
        values: of shape (n, ...).
        starts: where each run begins, and behind the last where it ends: ascending, from 0 to n.
        identity: of runs without cells.

    Returns:
        An array of shape (runs, ...).
    """
    lengths = np.diff(starts)
    out = np.full((len(lengths), *values.shape[1:]), identity, plus.dtype)
    some = lengths > 0
    lengths = lengths[some]
    values = values.copy()
    place = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    while lengths.size and lengths.max() > 1:
        node = place % _FAN_IN
        room = np.minimum(_FAN_IN, np.repeat(lengths, lengths) - (place - node))
        for half in _HALVES:
            at = np.flatnonzero((node < half) & (node + half < room))
            if at.size:
                values[at] = plus(values[at], values[at + half])
            np.minimum(room, half, out=room)
        kept = node == 0
        values, place = values[kept], place[kept] // _FAN_IN
        lengths = -(-lengths // _FAN_IN)
    out[some] = values
    return out
