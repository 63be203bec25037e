"""Indexing a page is indexing a numpy array: the same cells for any dtype, shape, index and value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mmsb

DTYPES = ["?", "i1", "i4", "i8", "u2", "u8", "f2", "f4", "f8"]
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6)


def filled(dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return (np.arange(np.prod(shape)) % 119).astype(dtype).reshape(shape)


def indices(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    basic = hnp.basic_indices(shape, allow_newaxis=False, allow_ellipsis=True)
    rows = st.integers(-shape[0], shape[0] - 1)
    return st.one_of(
        basic,
        st.lists(rows, max_size=8),
        st.lists(rows, max_size=8).map(lambda found: np.array(found, "i8")),
        st.lists(rows, min_size=1, max_size=8).map(lambda found: np.array([found, found])),
        hnp.arrays(bool, shape[0]),
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape[:2]),
        hnp.arrays(bool, shape[0]).map(list),
        hnp.integer_array_indices(shape),
        st.tuples(st.lists(rows, min_size=1, max_size=4), basic).map(
            lambda pair: (pair[0], *as_tuple(pair[1])[1:])
        ),
        st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
        st.integers(-9, 9),
        st.sampled_from([True, False, 1.5, np.int32(0), np.True_, np.array(0)]),
    )


def as_tuple(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, tuple[int, ...], Any]:
    shape = draw(SHAPES)
    return draw(st.sampled_from(DTYPES)), shape, draw(indices(shape))


def page_of(model: np.ndarray[Any, Any]) -> mmsb.Page:
    page = mmsb.open().create_page("p", shape=model.shape, dtype=model.dtype)
    page[...] = model
    return page


@given(cases())
def test_reading_gives_what_numpy_gives(case: tuple[str, tuple[int, ...], Any]) -> None:
    dtype, shape, index = case
    model = filled(dtype, shape)
    page = page_of(model)
    try:
        wanted = model[index]
    except IndexError:
        with pytest.raises(mmsb.MmsbError) as caught:
            page[index]
        assert isinstance(caught.value, IndexError)
        return
    got = page[index]
    assert type(got) is type(wanted)
    assert got.dtype == wanted.dtype
    assert np.array_equal(got, wanted)
    if isinstance(got, np.ndarray):
        assert got.flags.writeable
        got[...] = 1
        assert np.array_equal(page.array, model), "what was read is a copy"


@given(cases(), st.data())
def test_writing_leaves_what_numpy_leaves(
    case: tuple[str, tuple[int, ...], Any], data: st.DataObject
) -> None:
    dtype, shape, index = case
    model = filled(dtype, shape)
    page = page_of(model)
    try:
        picked = model[index].shape
    except IndexError:
        picked = (1,)
    # Whole shapes, shapes that broadcast, and some that do not fit.
    trims = [picked, picked[1:], picked[-1:], (), (1, *picked), tuple(1 for _ in picked), (7, 7)]
    value = (
        (np.arange(np.prod(chosen := data.draw(st.sampled_from(trims)))) % 2).reshape(chosen).astype(dtype)
    )
    if picked == () and value.ndim > 0 and value.size == 1:
        # Newer numpy takes no array of one cell for a single cell; a page does, as older numpy did.
        return
    epoch, digest = page_bus(page)
    refused: type[Exception] | None = None
    try:
        model[index] = value
    except TypeError:
        # numpy takes no axes of size 1 in front of what a mask picks; a page does.
        return
    except (IndexError, ValueError) as error:
        refused = type(error)
    if refused is not None:
        with pytest.raises(refused) as caught:
            page[index] = value
        assert isinstance(caught.value, mmsb.MmsbError)
        assert page_bus(page) == (epoch, digest)
        return
    page[index] = value
    assert np.array_equal(page.array, model)
    assert page.version == epoch + int(np.prod(picked) > 0)


def page_bus(page: mmsb.Page) -> tuple[int, bytes]:
    return page.version, page.array.tobytes()


@given(cases())
def test_scalars_fill(case: tuple[str, tuple[int, ...], Any]) -> None:
    dtype, shape, index = case
    model = filled(dtype, shape)
    page = page_of(model)
    for value in (1, np.dtype(dtype).type(1), True):
        try:
            model[index] = value
        except IndexError:
            with pytest.raises(IndexError):
                page[index] = value
            continue
        page[index] = value
        assert np.array_equal(page.array, model)


@given(cases())
def test_adding_in_place_reads_and_writes(case: tuple[str, tuple[int, ...], Any]) -> None:
    dtype, shape, index = case
    model = filled(dtype, shape)
    page = page_of(model)
    one = np.dtype(dtype).type(1)
    try:
        model[index] += one
    except IndexError:
        with pytest.raises(IndexError):
            page[index] += one
        return
    page[index] += one
    assert np.array_equal(page.array, model)


def test_an_index_list_may_name_a_row_twice_and_the_last_one_wins() -> None:
    page = mmsb.open().create_page("p", shape=(3,), dtype="i4")
    page[[1, 1, -2]] = [1, 2, 3]
    assert page[:].tolist() == [0, 3, 0]


def test_none_is_refused_by_name() -> None:
    page = mmsb.open().create_page("p", shape=(3,), dtype="i4")
    for index in (None, (None, 0), (0, None)):
        with pytest.raises(mmsb.BadIndex, match="None adds an axis"):
            page[index]
        with pytest.raises(mmsb.BadIndex, match="None adds an axis"):
            page[index] = 1


def test_a_large_page_is_indexed_without_a_table_of_its_cells() -> None:
    page = mmsb.open().create_page("p", shape=(1 << 30, 4), dtype="f8")
    page[[5, -1], 1::2] = [[1, 2], [3, 4]]
    page[1 << 29, ::-1] = [1, 2, 3, 4]
    assert page[-1].tolist() == [0, 3, 0, 4]
    assert page[1 << 29].tolist() == [4, 3, 2, 1]
    assert page[5:6, 3].tolist() == [2]
    with pytest.raises(mmsb.BadIndex, match="4294967296"):
        page[:, [0, 1]] = 0


def test_a_ragged_list_is_no_index() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(5, 2), dtype="i8")
    table = bus.create_page("t", rows=5, columns={"a": "i4"})
    ragged: Any = [[0, 1], [2]]
    uses: list[Callable[[], object]] = [
        lambda: page[ragged],
        lambda: page.__setitem__(ragged, 1),
        lambda: page.merge(1, rows=ragged, op="add"),
        lambda: table[ragged],
        lambda: table.assign({"a": 1}, rows=ragged),
    ]
    for use in uses:
        with pytest.raises(mmsb.BadIndex):
            use()
    _ = page.array
    with pytest.raises(mmsb.BadIndex):
        _ = page[ragged]


def test_a_range_is_a_list_of_rows() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", data=np.arange(10).reshape(5, 2))
    for rows in (range(3), range(4, 0, -2), range(0)):
        assert np.array_equal(page[rows], np.arange(10).reshape(5, 2)[rows])
    page[range(2)] = 7
    assert page[:, 0].tolist() == [7, 7, 4, 6, 8]


def test_rows_of_a_table_beside_an_ellipsis() -> None:
    bus = mmsb.open()
    table = bus.create_page("t", rows=4, columns={"pos": ("f4", (3,)), "n": "i4"})
    table[..., 1] = {"n": 5, "pos": 2}
    table.assign({"n": 6}, rows=(slice(2, 3), ...))
    assert table[..., 1]["n"] == 5
    assert table[1:3, ...]["n"].tolist() == [5, 6]
    assert table["n"][:].tolist() == [0, 5, 6, 0]
    with pytest.raises(mmsb.BadIndex):
        _ = table[..., 0, 1]


def test_a_value_for_many_rows_lets_other_threads_run(
    others_run: Callable[[Callable[[], object]], None],
) -> None:
    bus = mmsb.open()
    count = 4_000_000
    page = bus.create_page("p", shape=(count,), dtype="f8")
    mask = np.ones(count, bool)
    mask[::7] = False
    rows = np.flatnonzero(mask)[::-1].copy()
    writes: list[Callable[[], object]] = [
        lambda: page.__setitem__(mask, 1.0),
        lambda: page.__setitem__(rows, 2.0),
        lambda: page.merge(1.0, rows=rows, op="add"),
    ]
    for write in writes:
        others_run(write)
    assert page[1] == 3
