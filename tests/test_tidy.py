"""The rules of the house for Python: length, first lines, how the core is imported, and one order of rooms.

Which room may import which is import-linter's to say; here its order is compared with `layers.toml`.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CAP = 400
STUB_CAP = 500
"""Of the stub of the compiled module, which must be one file."""
MARKS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")


def sources() -> list[Path]:
    files = (path for room in ("python", "tests", "benches") for path in (ROOT / room).rglob("*"))
    return sorted(path for path in files if path.suffix in {".py", ".pyi"})


def violations(text: str, cap: int = CAP) -> Iterator[str]:
    """Yield what is wrong with one file, in words."""
    lines = text.splitlines()
    if len(lines) > cap:
        yield f"{len(lines)} lines, the cap is {cap}"
    tree = ast.parse(text)
    if not (ast.get_docstring(tree) or "").strip():
        yield "no docstring that says what the file is"
    for number, line in enumerate(lines, 1):
        if any(mark in line for mark in MARKS):
            yield f"line {number}: an unfinished mark"
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names]
        if "*" in names:
            yield f"line {node.lineno}: a star import hides what is used"
        if node.level:
            yield f"line {node.lineno}: a relative import; write the full name"
        # This counts as importing the public face, and closes a circle.
        if node.module == "mmsb" and "_core" in names:
            yield f"line {node.lineno}: write `from mmsb._core import X`"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_tidy(path: Path) -> None:
    cap = STUB_CAP if path.suffix == ".pyi" else CAP
    assert list(violations(path.read_text(encoding="utf-8"), cap)) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("import os\n", "docstring"),
        ('""""""\n', "docstring"),
        ('"""Doc."""\n' + "\n" * CAP, "cap"),
        ('"""Doc."""\n# ' + MARKS[0], "mark"),
        ('"""Doc."""\nfrom os import *\n', "star"),
        ('"""Doc."""\nfrom . import bus\n', "relative"),
        ('"""Doc."""\ndef f():\n    from mmsb import _core\n', "mmsb._core"),
    ],
)
def test_an_untidy_file_is_found_out(text: str, word: str) -> None:
    found = list(violations(text))
    assert len(found) == 1
    assert word in found[0]


def test_a_tidy_file_passes() -> None:
    text = '"""Doc."""\nfrom mmsb._core import Bus\nfrom mmsb import open\n' + "\n" * (CAP - 3)
    assert list(violations(text)) == []


def test_import_linter_has_the_rooms_of_layers_toml_in_order() -> None:
    rooms = tomllib.loads((ROOT / "layers.toml").read_text(encoding="utf-8"))["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = project["tool"]["importlinter"]["contracts"]
    assert contract["exhaustive"]
    assert [layer.strip("()") for layer in reversed(contract["layers"])] == rooms


def test_every_room_of_the_package_is_in_layers_toml() -> None:
    rooms = tomllib.loads((ROOT / "layers.toml").read_text(encoding="utf-8"))["python"]
    package = ROOT / "python" / "mmsb"
    found = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert found - {"__init__", "__main__"} <= set(rooms)
