"""Values on their way into cells: casts of the same kind, checked ranges, no loss that nobody asked for."""

from typing import Any

import numpy as np
import pytest

import mmsb


def page(dtype: str, rows: int = 4) -> mmsb.Page:
    return mmsb.open().create_page("p", shape=(rows,), dtype=dtype)


@pytest.mark.parametrize(
    ("dtype", "value", "error", "words"),
    [
        ("u1", 256, OverflowError, "256 does not fit uint8"),
        ("u1", -1, OverflowError, "-1 does not fit uint8"),
        ("i4", 1 << 40, OverflowError, "1099511627776"),
        ("i8", 1 << 70, OverflowError, "does not fit int64"),
        ("i2", [1, 1 << 20], OverflowError, "1048576"),
        ("u8", [1 << 70], OverflowError, "uint64"),
        ("?", 2, OverflowError, "2 does not fit bool"),
        ("i4", float("nan"), TypeError, "NaN"),
        ("i4", [1.0, float("nan")], ValueError, "NaN"),
        ("i4", 1.5, TypeError, "1.5"),
        ("i4", np.array([1.5]), TypeError, "float"),
        ("f4", 1j, TypeError, "complex128"),
        ("f4", "x", TypeError, "same_kind"),
        ("f8", [1, None], TypeError, "object"),
        ("u1", np.array([1, 2, 3, 4]), TypeError, "int64 cannot be cast to uint8"),
        ("S3", b"four", OverflowError, "4 bytes does not fit S3"),
        ("S3", "é", TypeError, "ASCII"),
        ("S3", 5, TypeError, "int64"),
        ("i4", [[1, 2], [3]], ValueError, "inhomogeneous"),
        ("i4", [1, 2, 3], ValueError, r"shape \[3\] do not fit \[4\]"),
    ],
)
def test_what_does_not_fit_is_refused(dtype: str, value: Any, error: type[Exception], words: str) -> None:
    cells = page(dtype)
    before = cells.version
    with pytest.raises(mmsb.MmsbError, match=words) as caught:
        cells[...] = value
    assert isinstance(caught.value, error)
    assert "page 'p'" in str(caught.value)
    assert cells.version == before
    assert not cells.array.any()


@pytest.mark.parametrize(
    ("dtype", "value", "wanted"),
    [
        ("f4", 1, [1, 1, 1, 1]),
        ("f4", np.arange(4.0), [0, 1, 2, 3]),
        ("f2", 0.5, [0.5] * 4),
        ("i4", np.arange(4, dtype="i8"), [0, 1, 2, 3]),
        ("u1", [255, 0, 1, 2], [255, 0, 1, 2]),
        ("u1", np.int64(7), [7] * 4),
        ("u8", (1 << 64) - 1, [(1 << 64) - 1] * 4),
        ("i8", -(1 << 63), [-(1 << 63)] * 4),
        ("?", True, [True] * 4),
        ("f8", True, [1.0] * 4),
        ("f8", np.array([1, 2, 3, 4], ">i2"), [1, 2, 3, 4]),
        ("f8", np.arange(8.0)[::2], [0, 2, 4, 6]),
        ("S3", ["a", "bb", b"ccc", ""], [b"a", b"bb", b"ccc", b""]),
        ("f8", np.arange(4.0).data, [0, 1, 2, 3]),
        ("i4", range(4), [0, 1, 2, 3]),
    ],
)
def test_what_fits_is_written(dtype: str, value: Any, wanted: list[Any]) -> None:
    cells = page(dtype)
    cells[...] = value
    assert cells[:].tolist() == wanted


def test_a_page_may_be_written_from_its_own_view() -> None:
    cells = page("i4", 6)
    cells[:] = np.arange(6)
    cells[:3] = cells.array[3:]
    cells[::-1] = cells.array
    assert cells[:].tolist() == [5, 4, 3, 5, 4, 3]
