"""docs/errors.md has every code once, with its class and the built-ins it resembles."""

import re
from pathlib import Path

from mmsb._core import error_codes
from mmsb.errors import BY_CODE, MmsbError

TEXT = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")


def test_the_table_is_what_python_has() -> None:
    lines = [line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("| `")]
    table = [tuple(re.findall(r"`([\w-]+)`", cell) for cell in line[:3]) for line in lines]
    expected = [
        ([code], [error.__name__], [base.__name__ for base in error.__bases__ if base is not MmsbError])
        for code, error in BY_CODE.items()
    ]
    assert table == expected
    assert sorted(code for (code,), _, _ in table) == sorted(error_codes())
    assert all(cell.strip() for line in lines for cell in line)
