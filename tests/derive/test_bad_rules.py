"""Functions that return what no page can hold, or raise what is no error: nothing is changed."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import mmsb

ROWS = 4
LARGE = 4000


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory."""
    with mmsb.open() as bus:
        yield bus


def fails(bus: mmsb.Bus, function: Callable[..., Any], message: str, **layout: Any) -> mmsb.RuleError:
    """Has a page's rule fail in a commit, and another one go well; what the first raised.

    The rule is `function` while it is to fail, and before and after gives what is right.
    """
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")
    layout |= {"rows": ROWS} if "columns" in layout else {"shape": (ROWS,), "dtype": "int64"}
    is_bad = False

    def rule(a: Any, **named: Any) -> Any:
        if is_bad:
            return function(a, **named)
        return {"v": a + 0} if "columns" in layout else a + 0

    made = bus.derive("b", rule, inputs=[source], **layout)
    column = made["v"] if "columns" in layout else made
    source[1] = 3
    digest, epoch, had = bus.digest(), bus.epoch, column.array.tolist()
    is_bad = True
    with pytest.raises(mmsb.RuleError, match=message) as caught, bus.transaction():
        source[0] = 7
        source[2] = 8
    assert (bus.digest(), bus.epoch, column.array.tolist()) == (digest, epoch, had)
    assert source.array[:4].tolist() == [0, 3, 0, 0]
    is_bad = False
    source[0] = 9
    assert column.array.ravel()[0] == 9
    assert bus.epoch == epoch + 1
    error: mmsb.RuleError = caught.value
    assert (error.page, error.path) == ("b", ["a", "b"])
    assert error.rule.endswith("fails.<locals>.rule")
    assert str(error).startswith(f"page 'b', rule '{error.rule}': ")
    assert str(error).endswith("(a -> b)")
    return error


async def waits(a: Any, **named: Any) -> Any:
    return a


def yields(a: Any, **named: Any) -> Iterator[Any]:
    yield a


async def does_both(a: Any, **named: Any) -> AsyncIterator[Any]:
    yield a


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda a, **named: None, "None"),
        (waits, "of type coroutine"),
        (yields, "of type generator"),
        (does_both, "of type async_generator"),
        (lambda a, **named: {"v": a}, "of type dict"),
    ],
)
def test_what_is_no_array_is_told_by_its_type(
    bus: mmsb.Bus, function: Callable[..., Any], what: str, changed: bool
) -> None:
    said = rf"what the rule returns is {what} where an array of shape \(4,\) is wanted"
    fails(bus, function, said, changed=changed)


@pytest.mark.parametrize("dtype", ["i8", "f8", "S3"])
@pytest.mark.parametrize(("function", "what"), [(lambda _: None, "None"), (waits, "of type coroutine")])
def test_what_is_no_number_is_told_by_its_type(
    bus: mmsb.Bus, function: Callable[..., Any], what: str, dtype: str
) -> None:
    source = bus.create_page("a", shape=(), dtype="i8")
    with pytest.raises(mmsb.RuleError, match=rf"what the rule returns is {what} where a value of"):
        bus.derive("b", function, inputs=[source], shape=(), dtype=dtype)
    assert "b" not in bus


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: None, "is None where a mapping of arrays by column is wanted"),
        (waits, "is of type coroutine where a mapping"),
        (yields, "is of type generator where a mapping"),
        (lambda a: {}, "the rule returns dict without the column 'v'"),
        (lambda a: a, "the rule returns ndarray without the column 'v'"),
        (lambda a: {"v": None}, r"column 'v' that the rule returns is None where an array of shape \(4,\)"),
        (lambda a: {"v": a[:2]}, r"column 'v' that the rule returns has shape \(2,\) where \(4,\) is wanted"),
        (lambda a: {"v": a, "w": a}, "the rule returns a column 'w' that its page has not, which has 'v'"),
        (lambda a: {"v": a, 3: a}, "the rule returns a column 3 that its page has not"),
        (
            lambda a: np.zeros(4, [("v", "i8"), ("extra", "i8")]),
            "the rule returns a column 'extra' that its page has not",
        ),
    ],
)
def test_a_table_has_the_columns_that_it_was_declared_with(
    bus: mmsb.Bus, function: Callable[..., Any], message: str
) -> None:
    """One that lacks and one that is too many are both refused."""
    fails(bus, function, message, columns={"v": "i8"})


def test_a_table_is_any_mapping_and_any_array_with_its_columns(bus: mmsb.Bus) -> None:
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")

    def structured(a: Any) -> Any:
        made = np.zeros(ROWS, [("w", "f8"), ("v", "i8")])
        made["v"], made["w"] = a, a / 2
        return made

    columns = {"v": "i8", "w": "f8"}
    made = bus.derive("b", structured, inputs=[source], rows=ROWS, columns=columns)
    source[1] = 3
    assert (made["v"].array[1], made["w"].array[1]) == (3, 1.5)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            lambda a, m: (None, a),
            "what the rule returns as rows is None where a mask of rows, or their numbers",
        ),
        (lambda a, m: ("x", a), "what the rule returns as rows is of type str where a mask"),
        (lambda a, m: (np.arange(4.0), a), r"rows of float64 and shape \(4,\) where a mask of rows"),
        (lambda a, m: (np.zeros((2, 2), int), a), r"rows of int64 and shape \(2, 2\) where a mask of rows"),
        (lambda a, m: ([0.0, 1.0], a[:2]), r"rows of float64 and shape \(2,\) where a mask of rows"),
        (lambda a, m: ([[0, 1]], a[:2]), r"rows of int64 and shape \(1, 2\) where a mask of rows"),
        (lambda a, m: (1, a[:1]), r"rows of int64 and shape \(\) where a mask of rows"),
        (lambda a, m: (waits(a), a), "what the rule returns as rows is of type coroutine where a mask"),
        (lambda a, m: (m, None), r"what the rule returns is None where an array of shape \(2,\) is wanted"),
        (lambda a, m: ([0, 4], a[:2]), "the rule returns row 4 where there are 4"),
        (lambda a, m: ([0, -1], a[:2]), "the rule returns row -1 where there are 4"),
        (lambda a, m: ([1 << 70], a[:1]), f"the rule returns row {1 << 70} where there are 4"),
        (
            lambda a, m: (np.array([1, 2**63], "u8"), a[:2]),
            f"the rule returns row {2**63} where there are 4",
        ),
        (lambda a, m: ([0, 1, 2], a[:2]), r"what the rule returns has shape \(2,\) where \(3,\) is wanted"),
        (lambda a, m: (m, a), r"what the rule returns has shape \(4,\) where \(2,\) is wanted"),
        (lambda a, m: (m[:3], a[:2]), r"the mask of rows has shape \(3,\) where there are 4 rows"),
        (lambda a, m: (np.array([m, m]), a), r"the mask of rows has shape \(2, 4\) where there are 4 rows"),
        (lambda a, m: ([0], [0.5]), "a float cannot go where int64 does"),
    ],
)
def test_rows_that_cannot_be_are_refused(bus: mmsb.Bus, returned: Callable[..., Any], message: str) -> None:
    """Of a rule that says which rows it made."""
    fails(bus, lambda a, changed: returned(a, changed[0]), message, changed=True)


def test_no_rows_are_rows_too(bus: mmsb.Bus) -> None:
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")

    def rule(a: Any, changed: Any) -> Any:
        return ([], a[:0]) if a[0] else a

    made = bus.derive("b", rule, inputs=[source], shape=(ROWS,), dtype="int64", changed=True)
    source[0] = 1
    assert made.array.tolist() == [0] * ROWS
    assert bus.trace()[-1].outcome == "equal"


@pytest.mark.parametrize("rows", [ROWS, LARGE])
@pytest.mark.parametrize("keep", [lambda page: page["v"], lambda page: page["v"][1:], lambda page: page])
def test_a_column_that_is_lent_is_not_kept(bus: mmsb.Bus, keep: Callable[[Any], Any], rows: int) -> None:
    """Whether it is a copy or a view of the page, alone or in its mapping."""
    source = bus.create_page("a", rows=rows, columns={"u": "i8", "v": "i8"})
    kept: list[Any] = []
    keeps = False

    def rule(page: Any) -> Any:
        if keeps:
            kept.append(keep(page))
        return page["u"] + page["v"]

    made = bus.derive("b", rule, inputs=[source], shape=(rows,), dtype="i8")
    digest, epoch = bus.digest(), bus.epoch
    keeps = True
    with pytest.raises(mmsb.RuleError, match=r"keeps a view of its input 'a', column '[uv]'") as caught:
        source["u"][0] = 5
    assert caught.value.path == ["a", "b"]
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    keeps = False
    # What is kept is readable for ever, and is what it was.
    array = kept[0]["v"] if isinstance(kept[0], dict) else kept[0]
    source["u"][0], source["v"][...] = 5, 2
    assert made.array[:2].tolist() == [7, 2]
    assert not array.any()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("when", ["eager", "lazy"])
def test_what_is_no_error_of_the_rule_passes_through(
    bus: mmsb.Bus, kind: type[BaseException], when: Any
) -> None:
    """Ctrl-C while a rule runs is Ctrl-C, and the transaction is undone."""
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")
    raised: BaseException | None = None

    def rule(a: Any) -> Any:
        if raised is not None:
            raise raised
        return a + 1

    bus.derive("b", rule, inputs=[source], shape=(ROWS,), dtype="int64", when=when)
    made = bus.derive("c", lambda b: b + 1, inputs=["b"], shape=(ROWS,), dtype="int64", when=when)
    digest, epoch = bus.digest(), bus.epoch
    raised = kind("now")
    with pytest.raises(kind, match="now") as caught, bus.transaction():
        source[0] = 7
        _ = made.array
    assert caught.value is raised
    assert (bus.digest(), bus.epoch, source.array[0]) == (digest, epoch, 0)
    raised = None
    source[0] = 8
    assert made.array[0] == 10


@pytest.mark.parametrize(
    "said",
    [
        {"columns": lambda self: ["extra"]},
        {"columns": 3},
        {"columns": "extra"},
        {"columns": [np.zeros(ROWS), np.ones(ROWS)]},
        {"keys": ["extra"]},
        {"keys": lambda self: None},
        {"keys": lambda self: [3, 4]},
    ],
)
def test_what_does_not_say_its_columns_has_those_that_were_asked_for(
    bus: mmsb.Bus, said: dict[str, Any]
) -> None:
    """Whatever else an object of a user's means by these words."""
    table = type("Table", (), {"__getitem__": lambda self, name: np.arange(ROWS), **said})
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")
    made = bus.derive("b", lambda a: table(), inputs=[source], rows=ROWS, columns={"v": "i8"})
    assert made["v"].array.tolist() == list(range(ROWS))


@pytest.mark.parametrize("said", [{"columns": ("v", "extra")}, {"keys": lambda self: ["v", "extra"]}])
def test_what_says_its_columns_is_held_to_them(bus: mmsb.Bus, said: dict[str, Any]) -> None:
    table = type("Table", (), {"__getitem__": lambda self, name: np.arange(ROWS), **said})
    fails(bus, lambda a: table(), "the rule returns a column 'extra'", columns={"v": "i8"})


def test_only_a_coroutine_is_closed(bus: mmsb.Bus) -> None:
    """What has the attributes of one is another's."""
    closed: list[bool] = []
    other = type("Other", (), {"cr_await": None, "close": lambda self: closed.append(True)})
    fails(bus, lambda a: other(), "is of type Other where an array")
    assert closed == []


@pytest.mark.parametrize("kind", ["pandas.DataFrame", "polars.DataFrame", "pyarrow.table"])
def test_tables_of_others_are_held_to_their_columns_too(bus: mmsb.Bus, kind: str) -> None:
    room, name = kind.split(".")
    made_by = getattr(pytest.importorskip(room), name)
    source = bus.create_page("a", shape=(ROWS,), dtype="int64")

    def fits(a: Any) -> Any:
        return made_by({"v": a.copy(), "w": a * 2})

    def has_more(a: Any) -> Any:
        return made_by({"v": a.copy(), "w": a * 2, "extra": a * 3})

    layout: dict[str, Any] = {"inputs": [source], "rows": ROWS, "columns": {"w": "i8", "v": "i8"}}
    made = bus.derive("b", fits, **layout)
    source[1] = 3
    assert (made["v"].array[1], made["w"].array[1]) == (3, 6)
    with pytest.raises(mmsb.RuleError, match="the rule returns a column 'extra' that its page has not"):
        bus.derive("c", has_more, **layout)
    assert "c" not in bus
