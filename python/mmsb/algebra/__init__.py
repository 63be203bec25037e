"""Monoids and semirings, built in and of users' own; what they do with arrays; circuits of provenance."""

from mmsb.algebra.circuit import Circuit, Node
from mmsb.algebra.declare import monoid, semiring
from mmsb.algebra.eager import matmul, reduce, spmv, write
from mmsb.algebra.kinds import (
    AnyMonoid,
    AnySemiring,
    Monoid,
    MonoidFamily,
    Semiring,
    SemiringFamily,
)

__all__ = [
    "AnyMonoid",
    "AnySemiring",
    "Circuit",
    "Monoid",
    "MonoidFamily",
    "Node",
    "Semiring",
    "SemiringFamily",
    "matmul",
    "monoid",
    "reduce",
    "semiring",
    "spmv",
    "write",
]
