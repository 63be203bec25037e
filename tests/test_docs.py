"""The documentation: its links lead somewhere, and the files it names are there."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Where a file named without its full path may lie.
BASES = [
    ROOT,
    ROOT / "rust/mmsb",
    ROOT / "rust/mmsb/src",
    *(ROOT / "rust/mmsb/src").iterdir(),
    ROOT / "rust/mmsb-python/src",
]


def names(text: str) -> set[str]:
    """The files that a document names between backticks: `a_*.rs` is a pattern, `{a,b}.rs` are two."""
    found = re.findall(r"`([\w./*{},-]+\.(?:rs|py|pyi|toml|md))`", text)
    return {name for each in found for name in alternatives(each)}


def found(base: Path, name: str) -> bool:
    """Whether there is such a file."""
    return any(base.glob(name)) if "*" in name else (base / name).exists()


def alternatives(name: str) -> list[str]:
    """`a/{b,c}.rs` is `a/b.rs` and `a/c.rs`."""
    whole = re.fullmatch(r"([^{}]*)\{([^{}]*)\}(.*)", name)
    if whole is None:
        return [name]
    before, middle, after = whole.groups()
    return [more for each in middle.split(",") for more in alternatives(before + each + after)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(path: Path) -> None:
    named = names(path.read_text(encoding="utf-8"))
    # A bare name without a folder is looked for in every base; generated ones are not there.
    missing = {name for name in named if not any(found(base, name) for base in [*BASES, path.parent])}
    assert missing == set()


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})


def test_the_commands_of_the_readme_show_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    # Those behind a remark, too: "`mmsb show world.mmsb pos 10:12` has the cells".
    commands = re.findall(r"(?:^|`)mmsb ([a-z][^#`\n]*)", readme, re.MULTILINE)
    commands = [command for command in commands if "world.mmsb" in command]
    assert {command.split()[0] for command in commands} == {"show", "log", "diff", "at", "verify"}
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    for command in commands:
        shown = run(*command.split()).stdout
        assert shown, command
        assert "no difference" not in shown, command


def test_a_name_that_is_not_there_is_found_out() -> None:
    assert names("see `memory/nowhere.rs` and `x`") == {"memory/nowhere.rs"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/tutorials").glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_cells_of_a_tutorial_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    for number, cell in enumerate(notebook["cells"]):
        assert cell.get("outputs", []) == [], "a tutorial is kept without what it printed"
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), space)
