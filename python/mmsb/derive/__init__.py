"""Pages that follow from others: what declares them, and what tells why they are what they are."""

from mmsb.derive.explain import Explanation, Followed, Step, logged
from mmsb.derive.expression import Expression, col, where
from mmsb.derive.face import Deriving
from mmsb.derive.rules import Rule, reduce

__all__ = [
    "Deriving",
    "Explanation",
    "Expression",
    "Followed",
    "Rule",
    "Step",
    "col",
    "logged",
    "reduce",
    "where",
]
