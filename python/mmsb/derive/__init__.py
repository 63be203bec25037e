"""Pages that follow from others: what declares them, and what tells why they are what they are."""

from mmsb.derive.explain import Explanation, Step
from mmsb.derive.face import Deriving

__all__ = ["Deriving", "Explanation", "Step"]
