"""Every error of opening and looking at a bus says which: the path as it was given. An empty one is none."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mmsb

Use = Callable[[str], Any]
USES: list[Use] = [mmsb.open, lambda path: mmsb.open(path, "r"), mmsb.verify, mmsb.doctor]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bus, by a path from the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with mmsb.open("here/../world") as bus:
        bus.create_page("p", size=100)
    return "here/../world"


def test_damage_names_the_path(made: str) -> None:
    log = Path(made) / "bus"
    whole = log.read_bytes()
    log.write_bytes(bytes(len(whole)))
    for use in (mmsb.open, lambda path: mmsb.open(path, "r")):
        with pytest.raises(mmsb.MmsbError) as error:
            use(made)
        assert made in str(error.value), error.value


def test_a_name_that_is_too_long_is_in_the_error(tmp_path: Path) -> None:
    path = str(tmp_path / ("x" * 300))
    with pytest.raises(mmsb.DiskError) as error:
        mmsb.open(path)
    assert path in str(error.value)
    assert ": :" not in str(error.value)
    with mmsb.open() as bus, pytest.raises(mmsb.DiskError) as error:
        bus.export(path)
    assert path in str(error.value)


def test_who_has_it_open_is_said_with_the_path(made: str) -> None:
    code = f"import mmsb, time; bus = mmsb.open({made!r}); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            # As where the two see different parts of the machine.
            (Path(made) / "ARENA").unlink()
            with pytest.raises(mmsb.LockedError) as error:
                mmsb.open(made, busy_timeout=0.1)
            assert made in str(error.value)
            assert str(other.pid) in str(error.value)
        finally:
            other.kill()


def test_an_empty_path_is_refused_and_nothing_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with mmsb.open() as bus:
        for use in (*USES, bus.export):
            for path in ("", b""):
                with pytest.raises(mmsb.InvalidArgument, match="path is empty"):
                    use(path)  # type: ignore[arg-type]
    assert [*tmp_path.iterdir()] == []
