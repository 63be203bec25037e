"""The installed package: its face, its version and the wheel's promises about types."""

import tomllib
from importlib import metadata, resources
from pathlib import Path

import mmsb

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_one_of_the_workspace() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert mmsb.__version__ == cargo["workspace"]["package"]["version"] == metadata.version("mmsb")


def test_everything_in_the_face_exists() -> None:
    missing = [name for name in mmsb.__all__ if not hasattr(mmsb, name)]
    assert not missing


def test_the_package_is_typed() -> None:
    package = resources.files("mmsb")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("_core.pyi").is_file()
