"""Pages that follow from others: what declares them, and what tells why they are what they are."""

from mmsb.derive.explain import Explanation, Step
from mmsb.derive.expression import Expression, col, where
from mmsb.derive.face import Deriving
from mmsb.derive.rules import Rule, reduce

__all__ = ["Deriving", "Explanation", "Expression", "Rule", "Step", "col", "reduce", "where"]
