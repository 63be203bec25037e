"""What errors of rules name: the page, the rule, and the pages by which a change came."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mmsb

SHAPE: dict[str, Any] = {"shape": (4,), "dtype": "int64"}


@pytest.fixture
def bus() -> Iterator[mmsb.Bus]:
    """A bus in memory, with a page."""
    with mmsb.open() as bus:
        bus.create_page("a", **SHAPE)
        yield bus


class Fails:
    """A rule that raises while it is told to."""

    def __init__(self) -> None:
        self.now = False

    def rule(self, cells: Any) -> Any:
        if self.now:
            raise ValueError("no good")
        return cells + 1


def chain(bus: mmsb.Bus, when: Any) -> Fails:
    """From `a` to `b` to `c`, which fails, to `d`."""
    fails = Fails()
    bus.derive("b", lambda a: a + 1, inputs=["a"], when=when, **SHAPE)
    bus.derive("c", fails.rule, inputs=["b"], when=when, **SHAPE)
    bus.derive("d", lambda c: c + 1, inputs=["c"], when=when, **SHAPE)
    return fails


def check(error: mmsb.RuleError, path: list[str]) -> None:
    assert (error.page, error.path) == ("c", path)
    assert error.rule.endswith(".Fails.rule")
    assert str(error) == f"page 'c', rule '{error.rule}': ValueError: no good ({' -> '.join(path)})"
    assert isinstance(error.__cause__, ValueError)


def test_an_eager_chain_is_named_from_what_was_written(bus: mmsb.Bus) -> None:
    fails = chain(bus, "eager")
    digest, epoch = bus.digest(), bus.epoch
    fails.now = True
    with pytest.raises(mmsb.RuleError) as caught:
        bus["a"][0] = 7
    check(caught.value, ["a", "b", "c"])
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    # As well where it is read in the transaction that wrote.
    with pytest.raises(mmsb.RuleError) as caught, bus.transaction():
        bus["a"][0] = 7
        _ = bus["d"].array
    check(caught.value, ["a", "b", "c"])
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    fails.now = False
    bus["a"][0] = 8
    assert bus["d"].array[0] == 11


def test_a_lazy_chain_is_named_up_to_what_was_read(bus: mmsb.Bus) -> None:
    fails = chain(bus, "lazy")
    fails.now = True
    bus["a"][0] = 7
    digest, epoch = bus.digest(), bus.epoch
    with pytest.raises(mmsb.RuleError) as caught:
        _ = bus["d"].array
    check(caught.value, ["c", "d"])
    assert bus["b"].array[0] == 8
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    fails.now = False
    assert bus["d"].array[0] == 10
    bus["a"][0] = 8
    assert bus["d"].array[0] == 11


def test_a_deferred_chain_is_named_when_it_is_settled(bus: mmsb.Bus) -> None:
    fails = chain(bus, "deferred")
    bus.settle()
    fails.now = True
    bus["a"][0] = 7
    with pytest.raises(mmsb.RuleError) as caught:
        bus.settle()
    # It begins with the first page that was put off, unless the background has made that one meanwhile.
    check(caught.value, ["b", "c"][-len(caught.value.path) :])
    assert bus.explain("c").stale
    assert "no good" in str(bus.explain("c"))
    assert (bus["a"].array[0], bus["d"].array[0]) == (7, 3)
    fails.now = False
    bus["a"][0] = 8
    bus.settle()
    assert bus["d"].array[0] == 11


def test_the_way_leads_through_what_came_out_as_it_was(bus: mmsb.Bus) -> None:
    """A page that was behind has what follows from it made again, whatever comes out."""
    fails = Fails()
    a = bus["a"]
    rows = a.rows
    bus.derive("late", lambda a: a * 0, inputs=[a], shape=(rows,), dtype="int64", when="deferred")

    def last(late: Any) -> Any:
        if fails.now:
            raise ValueError("no good")
        return late + 1

    bus.derive("last", last, inputs=["late"], shape=(rows,), dtype="int64")
    bus.settle()
    fails.now = True
    a[0] = 7
    with pytest.raises(mmsb.RuleError) as caught:
        bus.settle()
    assert list(caught.value.path) == ["late", "last"]


def test_a_built_in_rule_is_named_too(bus: mmsb.Bus) -> None:
    bus.derive("b", lambda a: a - 1, inputs=["a"], **SHAPE)
    bus["a"][...] = 1
    other = bus.create_page("other", data=np.arange(4))
    made = bus.derive("c", mmsb.gather(other, bus["b"]))
    digest, epoch = bus.digest(), bus.epoch
    with pytest.raises(mmsb.RuleError, match=r"^page 'c': gather: .*\(a -> b -> c\)$") as caught:
        bus["a"][1] = 77
    assert (caught.value.page, caught.value.rule, caught.value.path) == ("c", "gather", ["a", "b", "c"])
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    bus["a"][1] = 3
    assert made.array.tolist() == [0, 2, 0, 0]


def test_a_capability_that_a_semiring_lacks_is_named_with_the_page(bus: mmsb.Bus) -> None:
    columns = {"source": "i8", "target": "i8", "weight": "f8"}
    roads = bus.create_page("roads", rows=2, columns=columns)
    own = mmsb.semiring("own", np.add, np.multiply, 0.0, 1.0, "f8")
    epoch = bus.epoch
    for semiring, rule in ((own, "closure by own"), ("plus_times", "closure")):
        with pytest.raises(mmsb.RuleError, match=r"^page 'd': closure needs what the semiring") as caught:
            bus.derive("d", mmsb.closure(roads, 0, vertices=3, semiring=semiring))
        assert (caught.value.page, caught.value.rule) == ("d", rule)
    assert bus.epoch == epoch
    made = bus.derive("d", mmsb.closure(roads, 0, vertices=3))
    roads[0] = (0, 1, 2.0)
    assert made.array.tolist()[:2] == [0.0, 2.0]


def test_an_input_that_is_not_there_is_named_with_the_page(bus: mmsb.Bus) -> None:
    """Whatever the rule, and also where a handle of it is left."""
    columns = {"key": "i8", "keep": "?"}
    gone = bus.create_page("gone", rows=4, columns=columns)
    key, keep = gone["key"], gone["keep"]
    bus.drop_page("gone")
    digest, epoch = bus.digest(), bus.epoch
    cases: list[tuple[Any, str]] = [
        ({"inputs": ["nothing"]}, "no page named 'nothing'"),
        ({"inputs": ["a", 99]}, "no page 99"),
        ({"inputs": "a", "after": "nothing"}, "no page named 'nothing'"),
        ({"inputs": [gone]}, "input 'gone': no page"),
        ({"inputs": "a", "after": gone}, "input 'gone': no page"),
    ]
    for given, message in cases:
        for within in (False, True):
            with pytest.raises(mmsb.PageNotFound, match=f"^page 'd'.*{message}"):
                if within:
                    with bus.transaction():
                        bus["a"][0] = 9
                        bus.derive("d", lambda *all: all[0], **given, **SHAPE)
                else:
                    bus.derive("d", lambda *all: all[0], **given, **SHAPE)
    for rule in (mmsb.col(key) + 1, mmsb.reduce(key, "sum"), mmsb.filter(keep), mmsb.gather(bus["a"], key)):
        with pytest.raises(mmsb.PageNotFound, match=r"^page 'd': input 'gone': no page"):
            bus.derive("d", rule)
    for strange, message in ((1.5, "not float"), (None, "inputs None: pages, their names or ids are wanted")):
        given = strange if strange is None else [strange]
        with pytest.raises(mmsb.MmsbError, match=f"^page 'd': .*{message}"):
            bus.derive("d", lambda a: a, inputs=given, **SHAPE)
    assert (bus.digest(), bus.epoch) == (digest, epoch)
    made = bus.derive("d", lambda a: a + 1, inputs=["a"], **SHAPE)
    bus["a"][0] = 2
    assert made.array[0] == 3


def test_an_input_that_is_dropped_in_the_transaction_is_named(bus: mmsb.Bus) -> None:
    other = bus.create_page("other", **SHAPE)
    digest = bus.digest()
    with pytest.raises(mmsb.PageNotFound, match=r"^page 'd': input 'other'"), bus.transaction():
        bus.drop_page("other")
        bus.derive("d", lambda a: a, inputs=[other], **SHAPE)
    assert bus.digest() == digest
    bus.derive("d", lambda a: a, inputs=[other], **SHAPE)


def test_arguments_are_named_with_their_values(bus: mmsb.Bus) -> None:
    grid = bus.create_page("grid", shape=(2, 3), dtype="i8")
    epoch = bus.epoch
    for axis, kind in (("x", "str"), ((0, 1), "tuple"), (1.0, "float"), (True, "bool")):
        wrong: Any = axis
        for reduce in (
            lambda w: mmsb.reduce(grid, "sum", axis=w),
            lambda w: mmsb.algebra.reduce(grid, "sum", w),
        ):
            with pytest.raises(mmsb.InvalidArgument) as caught:
                reduce(wrong)
            assert str(caught.value) == f"reduce: axis {axis!r}: an integer is wanted, not {kind}"
    with pytest.raises(mmsb.InvalidArgument, match="reduce: axis 2 of 2 axes"):
        mmsb.reduce(grid, "sum", axis=2)
    word: Any = "x"
    with pytest.raises(mmsb.InvalidArgument, match="row 'x': an integer is wanted, not str"):
        bus.provenance(grid, row=word)
    with pytest.raises(mmsb.InvalidArgument, match="epoch 'x': an integer is wanted, not str"):
        bus.provenance(grid, epoch=word)
    with pytest.raises(mmsb.InvalidArgument, match="epoch 'x': an integer is wanted, not str"):
        bus.trace(word)
    assert bus.epoch == epoch
    assert bus.derive("sum", mmsb.reduce(grid, "sum", axis=np.int64(-1))).shape == (2,)


def test_what_ran_in_an_epoch_that_is_not_yet_is_not_nothing(bus: mmsb.Bus) -> None:
    """As everywhere else; of one that is, nothing may have run."""
    for ask in (bus.trace, bus.at, lambda epoch: bus.provenance("a", epoch=epoch)):
        with pytest.raises(mmsb.EpochNotFound, match=r"no epoch 1000000 on branch 'main': it has 0 to 1"):
            ask(10**6)
    with pytest.raises(mmsb.EpochNotFound):
        bus.trace(bus.epoch + 1)
    assert bus.trace(bus.epoch) == bus.trace(0) == []
    with bus.transaction():
        bus["a"][0] = 1
        assert bus.trace() == []


def test_an_operator_of_ones_own_is_no_pages_operator(bus: mmsb.Bus) -> None:
    """Which the error says, and what takes one."""
    gcd = mmsb.monoid("gcd", np.gcd, 0, "i8", domain=lambda a: (a >= 0) & (a < 99))
    for op in (gcd, 3):
        wrong: Any = op
        with pytest.raises(mmsb.InvalidArgument) as caught:
            bus.create_page("n", op=wrong, **SHAPE)
        said = (
            f"page 'n': op {op!r}: only a built-in operator can be a page's, named by a string as in op='add'"
        )
        assert str(caught.value) == f"{said}; page.merge(op=) takes one's own"
    for name, called in [("sum", "add"), ("prod", "mul"), ("min", "min")]:
        for built_in in (mmsb.monoid(name), mmsb.monoid(name)["i8"]):
            wrong = built_in
            with pytest.raises(mmsb.InvalidArgument, match=rf"it goes by its name, as op='{called}'$"):
                bus.create_page("n", op=wrong, **SHAPE)
    wrong = mmsb.monoid("logsum")
    with pytest.raises(mmsb.InvalidArgument, match="no operator is 'logsum'"):
        bus.create_page("n", op=wrong, **SHAPE)
    assert "n" not in bus
    bus["a"].merge([4, 6, 0, 9], op=gcd)
    bus["a"].merge([6, 9, 5, 0], op=gcd)
    assert bus["a"].array.tolist() == [2, 3, 5, 9]
