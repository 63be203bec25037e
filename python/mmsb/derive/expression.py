"""Expressions over columns, cell by cell: written as numpy is, worked out in Rust where something changed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike

from mmsb._core import Column, Page
from mmsb.derive.rule import Of, Rule, page_of
from mmsb.errors import InvalidArgument

_UNARY = {
    "negative": "neg",
    "absolute": "abs",
    "sign": "sign",
    "invert": "not",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    **{
        name: name
        for name in [
            "sqrt",
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "floor",
            "ceil",
            "rint",
            "trunc",
            "isnan",
            "isfinite",
            "isinf",
            "square",
            "cbrt",
            "fabs",
        ]
    },
}
_BINARY = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "floor_divide": "floordiv",
    "remainder": "mod",
    "power": "pow",
    "fmod": "fmod",
    "minimum": "min",
    "maximum": "max",
    "arctan2": "atan2",
    "hypot": "hypot",
    "copysign": "copysign",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
    "left_shift": "shl",
    "right_shift": "shr",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}
_FUNCTIONS: dict[Any, Callable[..., "Expression"]] = {}


class Expression(NDArrayOperatorsMixin):
    """A value for every cell: a column, or what operators and numpy's functions make of some.

    Made by `mmsb.col`. Types are numpy's: Python's numbers take the type of what they meet. Integers wrap,
    and divided by 0 are 0; floats that become integers keep to the ends of the type, NaN becomes 0. What of
    numpy is there: its arithmetic, comparisons, bits, `np.where`, `np.clip`, `astype`, and the functions of
    one value that mathematics has.
    """

    __slots__ = ("_operands", "_said")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, said: tuple[Any, ...], *operands: "Expression") -> None:
        self._said = said
        self._operands = operands

    def astype(self, dtype: DTypeLike) -> "Expression":
        """The same as cells of another type."""
        return Expression(("cast", np.dtype(dtype)), self)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "Expression":
        """What numpy's functions of one or two values make of it."""
        name = ufunc.__name__
        if method != "__call__" or options:
            raise InvalidArgument(f"np.{name} of an expression: only its plain call is there")
        if name == "positive":
            return _lifted(inputs[0])
        if name == "logical_not":
            return Expression(("eq",), _lifted(inputs[0]), _lifted(False))
        if name in ("logical_and", "logical_or", "logical_xor"):
            truths = [Expression(("ne",), _lifted(value), _lifted(False)) for value in inputs]
            return Expression((name.removeprefix("logical_"),), *truths)
        if name == "float_power":
            return Expression(("pow",), *(_lifted(value).astype("float64") for value in inputs))
        if name in ("fmin", "fmax"):
            return _but_nan(name.removeprefix("f"), *map(_lifted, inputs))
        word = (_UNARY if len(inputs) == 1 else _BINARY).get(name)
        if word is None:
            raise InvalidArgument(f"np.{name} is not there for expressions")
        return Expression((word,), *map(_lifted, inputs))

    def __array_function__(
        self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> "Expression":
        """`np.where` and `np.clip`."""
        if func not in _FUNCTIONS:
            raise InvalidArgument(f"np.{func.__name__} is not there for expressions")
        return _FUNCTIONS[func](*args, **kwargs)

    def __bool__(self) -> bool:
        """Refused: it has many values."""
        raise InvalidArgument(
            "an expression has a value for every cell: combine with & and |, not and and or"
        )

    def __repr__(self) -> str:
        """What it is."""
        return f"<Expression {self._said[0]}>"


def col(of: Of) -> Expression:
    """A column in an expression: of a page that has one, the page itself.

        bus.derive("value", mmsb.col(book["price"]) * mmsb.col(book["qty"]))

    A page of one row goes with every row; a column of one cell a row with every cell of a row.
    """
    return Expression(("column", *page_of("col", of)))


def _lifted(value: Any) -> Expression:
    """A value as an expression."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, (Page, Column)):
        return col(value)
    if isinstance(value, (bool, int, float, np.generic)):
        return Expression(("value", value))
    raise InvalidArgument(f"{value!r}: an expression takes columns, pages and numbers")


def _but_nan(word: str, one: Expression, two: Expression) -> Expression:
    """The smaller or larger one, of a number and NaN the number."""
    found = Expression((word,), one, two)
    for given, other in ((two, one), (one, two)):
        # A number of Python's has no type of its own to be looked at in.
        if given._said[0] != "value" or isinstance(given._said[1], (float, np.floating)):
            found = where(np.isnan(given), other, found)
    return found


def where(condition: Any, yes: Any, no: Any) -> Expression:
    """`yes` where the condition is true, else `no`."""
    return Expression(("where",), _lifted(condition), _lifted(yes), _lifted(no))


def _clip(value: Any, least: Any = None, most: Any = None) -> Expression:
    found = _lifted(value)
    if least is not None:
        found = Expression(("max",), found, _lifted(least))
    return found if most is None else Expression(("min",), found, _lifted(most))


_FUNCTIONS[np.where] = where
_FUNCTIONS[np.clip] = _clip


class _Flat:
    """Expressions as lists of nodes in which operands come first."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self._numbers: dict[int, int] = {}

    def _input(self, page: Page) -> int:
        """The number of a page among the inputs. One of another bus is an input of its own, to be refused."""
        new = len(self.pages)
        number = self._numbers.setdefault(page.id, new)
        if number < new and self.pages[number]._is(page):
            return number
        self.pages.append(page)
        return new

    def nodes(self, root: Expression) -> list[tuple[Any, ...]]:
        """The nodes of an expression, the last of which is what it comes to."""
        nodes: list[tuple[Any, ...]] = []
        numbers: dict[int, int] = {}
        stack = [root]
        while stack:
            at = stack[-1]
            waiting = [part for part in at._operands if id(part) not in numbers]
            if waiting:
                stack += reversed(waiting)
                continue
            stack.pop()
            if id(at) in numbers:
                continue
            said = at._said
            if said[0] == "column":
                said = ("column", self._input(said[1]), said[2])
            numbers[id(at)] = len(nodes)
            nodes.append((*said, *(numbers[id(part)] for part in at._operands)))
        return nodes


def express(given: Expression | Mapping[str, Any]) -> Rule:
    """The rule of an expression, or of one for each column of a table."""
    flat = _Flat()
    if isinstance(given, Expression):
        columns = [("value", flat.nodes(given))]
    else:
        columns = [(name, flat.nodes(_lifted(value))) for name, value in given.items()]
    if not flat.pages:
        raise InvalidArgument("the expression has no column in it: a page follows from others")
    return Rule(tuple(flat.pages), ("express", columns))
