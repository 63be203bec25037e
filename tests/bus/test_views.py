"""Views: they never change, never dangle, are made without a copy and only when something changed."""

import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import mmsb


def test_a_view_is_the_same_object_until_its_page_changes() -> None:
    bus = mmsb.open()
    page, other = (bus.create_page(name, shape=(100,), dtype="f8") for name in "ab")
    view = page.array
    assert page.array is view
    other[0] = 1
    assert page.array is view, "another page changed"
    page[0] = 1
    assert page.array is not view
    assert (view[0], page.array[0]) == (0, 1)
    assert bus["a"].array is page.array


def test_a_view_cannot_be_written() -> None:
    view = mmsb.open().create_page("p", shape=(4,), dtype="f8").array
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    with pytest.raises(ValueError, match="WRITEABLE"):
        view[1:].flags.writeable = True


def test_views_outlive_everything(tmp_path: Path) -> None:
    bus = mmsb.open(tmp_path / "bus")
    pages = [bus.create_page(f"p{n}", shape=(20_000,), dtype="i8") for n in range(4)]
    held = []
    for round_ in range(8):
        for n, page in enumerate(pages):
            page[round_ :: 8 + n] = 1 + round_
            view = page.array
            held.append((view, view.copy()))
    bus.drop_page("p0")
    bus.branch("b")["p1"][:] = 9
    bus.close()
    del bus, pages, page
    gc.collect()
    for view, copy in held:
        assert np.array_equal(view, copy)


def test_a_slice_of_a_view_keeps_it_from_being_used_again() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(1 << 17,), dtype="i8")
    page[...] = np.arange(1 << 17)
    for n in range(1, 20):
        page[n * 4096] = -n
        part = page.array[n * 4096 - 1 : n * 4096 + 2]
        page[n * 4096] = -n - 1
        assert part.tolist() == [n * 4096 - 1, -n, n * 4096 + 1]
        assert page.array[n * 4096] == -n - 1


def test_a_view_that_nobody_holds_is_let_go() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(1 << 16,), dtype="i8")
    first = weakref.ref(page.array)
    base = page.array.base
    page[0] = 1
    _ = page.array
    del base
    gc.collect()
    assert first() is None


def test_a_weak_reference_does_not_come_back_to_life() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(1 << 17,), dtype="i8")
    page[...] = np.arange(1 << 17)
    seen = []
    for n in range(1, 50):
        page[n * 2048] = -1
        ref = weakref.ref(page.array, lambda ref: seen.append(ref()))
        page[n * 2048] = -2
        assert page.array[n * 2048] == -2
        assert ref() is None
    assert seen == [None] * 49


def test_threads_read_whole_versions_while_another_writes() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    done = threading.Event()
    torn: list[tuple[int, int]] = []

    def read() -> None:
        last = 0
        while not done.is_set():
            view = page.array
            low, high = int(view.min()), int(view.max())
            if low != high or low < last:
                torn.append((low, high))
            last = low

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(1, 300):
        page[...] = n
    done.set()
    for reader in readers:
        reader.join()
    assert not torn


def test_threads_write_without_losing_a_commit() -> None:
    bus = mmsb.open()
    page = bus.create_page("sums", shape=(8,), dtype="i8")

    def write(n: int) -> None:
        for _ in range(300):
            page.merge(1, rows=[n, 7], op="add")

    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert page[:].tolist() == [300] * 4 + [0] * 3 + [1200]
    assert bus.epoch == 1201


def test_a_table_is_no_buffer_for_dlpack() -> None:
    bus = mmsb.open()
    table = bus.create_page("t", rows=3, columns={"a": "i4", "b": "f8"})
    with pytest.raises(BufferError, match="choose one of a, b"):
        np.from_dlpack(table)


def test_an_array_nobody_holds_is_used_again_as_it_was_made() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(6, 4), dtype="u1")
    for step in range(1, 50):
        page[step % 6, 1] = step
        array = page.array
        assert (array.shape, array.strides, array.dtype) == ((6, 4), (4, 1), np.dtype("u1"))
        assert array[step % 6, 1] == step
        assert not array.flags.writeable
        if step % 3 == 0:
            array.shape = (24,)
        elif step % 3 == 1:
            array = array.view("u4")
        if step % 4 == 0:
            page.array.dtype = np.dtype("i1")  # type: ignore[misc]
        if step % 5 == 0:
            held, was = page.array, page.array.tolist()
            page[0, 0] = step
            assert held.tolist() == was
            assert page.array[0, 0] == step
        del array
    page.resize(9)
    assert page.array.shape == (9, 4)
    first = np.asarray(page)
    assert first[8].tolist() == [0] * 4


def test_a_derived_array_keeps_its_bytes_while_the_page_goes_on() -> None:
    bus = mmsb.open()
    page = bus.create_page("p", shape=(1000,), dtype="i8")
    kept = []
    for step in range(20):
        page[:] = step
        kept.append((step, page.array[::7], memoryview(page.array)))  # type: ignore[arg-type]
    for step, part, buffer in kept:
        assert set(part.tolist()) == {step}
        assert set(buffer.tolist()) == {step}
