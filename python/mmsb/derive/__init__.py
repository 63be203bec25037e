"""Pages that follow from others: what declares them, and what tells why they are what they are."""

from mmsb.derive.explain import Explanation, Followed, Step, logged
from mmsb.derive.expression import Expression, col, where
from mmsb.derive.face import Deriving
from mmsb.derive.provenance import Origin, Provenance
from mmsb.derive.rule import Rule
from mmsb.derive.rules import (
    closure,
    filter,  # noqa: A004 - it is `mmsb.filter`
    gather,
    join,
    matmul,
    reduce,
    spmv,
    window,
)

__all__ = [
    "Deriving",
    "Explanation",
    "Expression",
    "Followed",
    "Origin",
    "Provenance",
    "Rule",
    "Step",
    "closure",
    "col",
    "filter",
    "gather",
    "join",
    "logged",
    "matmul",
    "reduce",
    "spmv",
    "where",
    "window",
]
