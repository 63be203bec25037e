"""Pages that follow from others: what declares them, and what tells why they are what they are."""

from mmsb.derive.counters import Counters
from mmsb.derive.explain import Explanation, Followed, Step, logged
from mmsb.derive.expression import Expression, col, where
from mmsb.derive.face import Deriving
from mmsb.derive.native import CFunction, Native, cfunc_signature, native
from mmsb.derive.provenance import Origin, Provenance
from mmsb.derive.rule import Rule
from mmsb.derive.rules import (
    closure,
    filter,  # noqa: A004 - it is `mmsb.filter`
    gather,
    join,
    matmul,
    reduce,
    scatter,
    spmv,
    window,
)
from mmsb.derive.stepping import Stepping

__all__ = [
    "CFunction",
    "Counters",
    "Deriving",
    "Explanation",
    "Expression",
    "Followed",
    "Native",
    "Origin",
    "Provenance",
    "Rule",
    "Step",
    "Stepping",
    "cfunc_signature",
    "closure",
    "col",
    "filter",
    "gather",
    "join",
    "logged",
    "matmul",
    "native",
    "reduce",
    "scatter",
    "spmv",
    "where",
    "window",
]
