"""Processes of other namespaces, numbers used again, and shared memory that is damaged."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from told import ANSWERS, Told

import mmsb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes share memory on Linux only")

OTHER = """
import os, sys, mmsb
bus = mmsb.open(sys.argv[1])
held = bus["p"].array
for line in sys.stdin:
    print(repr(eval(line)), flush=True)
"""
MOUNTED = (
    """
import sys, mmsb
path = sys.argv[1]
bus = mmsb.open(path, "r")
"""
    + ANSWERS
)
NOBODY = (
    """
import os, sys, mmsb
path = sys.argv[1]
os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""
    + ANSWERS
)
FULL = (
    """
import subprocess, sys, mmsb
import numpy as np
bus, says = mmsb.open(sys.argv[1], budget=1 << 30), []
def fill(most=1000):
    made = 0
    try:
        while made < most:
            bus.create_page(f"{made} of {len(bus)}", data=np.full(65_536, 1.0 + made))
            made += 1
    except mmsb.MmsbError as error:
        says.append(f"{type(error).__name__} {error}")
    return made
def start():
    global other
    command = [sys.executable, "-c", open("/proc/self/cmdline").read().split("\\0")[2], sys.argv[1]]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return ask("True") == "True"
def ask(code):
    other.stdin.write(code + "\\n")
    other.stdin.flush()
    return other.stdout.readline().strip()
"""
    + ANSWERS
    + """
if "other" in globals():
    other.communicate()
"""
)
ALONE = ["unshare", "--pid", "--fork", "--kill-child"]


def folder(path: Path) -> Path:
    """Where the memory of a bus lies."""
    lines = (path / "ARENA").read_text().splitlines()
    return Path(next(line.removeprefix("folder: ") for line in lines if line.startswith("folder: ")))


def can_unshare() -> bool:
    """Whether this user may make namespaces of processes."""
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_processes_of_other_namespaces_have_the_same_number_and_are_told_apart(tmp_path: Path) -> None:
    if not can_unshare():
        pytest.skip("this user makes no namespaces")
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(1000,), dtype="i8")
    others = [Told(OTHER, path, *ALONE) for _ in range(2)]
    try:
        assert [other.ask("os.getpid()") for other in others] == ["1", "1"]
        for n in range(1, 30):
            assert others[n % 2].ask(f"bus['p'].__setitem__({n}, {n})") == "None"
            page[500 + n] = n
        assert others[0].ask("bus.digest()") == others[1].ask("bus.digest()") == repr(bus.digest())
        assert [process.pid for process in bus.processes() if not process.is_this] == [1, 1]
        assert len([pin for pin in bus.pins() if pin.pid == 1]) == 2
        others[0].kill()
        others[0].end()
        # It goes with the process that made its namespace, a moment later.
        end = time.monotonic() + 10
        while len(bus.processes()) > 2 and time.monotonic() < end:
            time.sleep(0.01)
        page[...] = 7
        # The other one of that number lives, and keeps what it holds.
        assert [process.pid for process in bus.processes() if not process.is_this] == [1]
        assert len([pin for pin in bus.pins() if pin.pid == 1]) == 1
        assert others[1].ask("int(held.sum()), int(bus['p'].array.sum())") == "(0, 7000)"
    finally:
        for other in others:
            other.process.kill()
            other.end()


def test_a_number_that_is_used_again_keeps_nobody_alive(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(50_000,), dtype="i8")
    other = Told(OTHER, path)
    assert other.ask("int(held.sum())") == "0"
    dead = other.process.pid
    assert dead in {process.pid for process in bus.processes()}
    assert [pin for pin in bus.pins() if pin.pid == dead]
    slots = folder(path) / "slots"
    other.kill()
    other.end()
    # As if this process had been given the number of the dead one.
    said = bytearray(slots.read_bytes())
    own = next(process.pid for process in bus.processes() if process.is_this)
    at = next(at for at in range(0, len(said), 8) if int.from_bytes(said[at : at + 4], "little") == dead)
    said[at : at + 4] = own.to_bytes(4, "little")
    with slots.open("r+b") as file:
        file.write(said)
    assert [process.is_this for process in bus.processes()] == [True]
    assert [pin for pin in bus.pins() if pin.pid == dead] == []
    for value in range(50):
        page[...] = value
    assert bus.stats()["held_bytes"] < 2 * 400_000


@pytest.mark.parametrize("where", ["span-0", "pins", "slots", "ARENA"])
def test_memory_that_is_damaged_when_nobody_has_it_is_made_anew(tmp_path: Path, where: str) -> None:
    path = tmp_path / "bus"
    with mmsb.open(path) as bus:
        bus.create_page("p", shape=(1000,), dtype="i8")[...] = 3
        digest, epoch = bus.digest(), bus.epoch
    other = Told(OTHER, path)
    assert other.ask("bus['p'].__setitem__(0, 3) or bus.epoch") == str(epoch + 1)
    memory = folder(path)
    other.kill()
    other.end()
    damaged = path / where if where == "ARENA" else memory / where
    size = min(damaged.stat().st_size, 8192)
    with damaged.open("r+b") as file:
        file.write(b"\xa5" * size)
    with mmsb.open(path) as bus:
        assert (bus.epoch, bus.digest()) == (epoch + 1, digest)
        bus["p"][1] = 4
        if where != "ARENA":
            assert not memory.exists()
    with mmsb.open(path, mode="r") as bus:
        assert bus["p"][1] == 4


def test_memory_that_is_gone_or_of_another_make_is_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    bus.create_page("p", shape=(1000,), dtype="i8")
    said = (path / "ARENA").read_text()
    open_it = "import mmsb, sys; mmsb.open(sys.argv[1], busy_timeout=0.1)"
    for wrong in (
        "",
        "mmsb arena 1\n",
        said.replace("folder: ", "folder: /nowhere"),
        said.replace("boot: ", "boot: 0"),
    ):
        (path / "ARENA").write_text(wrong)
        tried = subprocess.run(
            [sys.executable, "-c", open_it, str(path)], capture_output=True, text=True, check=False
        )
        assert "LockedError" in tried.stderr, wrong
        read = "import mmsb, sys; bus = mmsb.open(sys.argv[1], mode='r'); print(bus.follows, bus['p'].shape)"
        told = subprocess.run(
            [sys.executable, "-c", read, str(path)], capture_output=True, text=True, check=True
        )
        assert told.stdout == "False (1000,)\n", wrong
    (path / "ARENA").write_text(said)
    subprocess.run([sys.executable, "-c", open_it, str(path)], check=True)
    bus["p"][0] = 1


def test_a_bus_that_is_mounted_to_be_read_is_read_and_not_written(tmp_path: Path) -> None:
    mounts = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}"
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    try:
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this user mounts nothing")
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    path = tmp_path / "bus"
    bus = mmsb.open(path)
    page = bus.create_page("p", shape=(10,), dtype="i8")
    page[0] = 5
    refused = f"{path}: LOCK: permission denied to lock: the file system is mounted read-only"

    def reads(follows: bool) -> None:
        reader = Told(MOUNTED, path, *alone)
        try:
            for mode in ("a", "r+"):
                assert reader.ask(f"mmsb.open(path, {mode!r})") == f"PermissionDenied {refused}"
            assert reader.ask("mmsb.open(path, 'x')").startswith("BusExists")
            assert reader.ask("bus.follows, int(bus['p'][0])") == repr((follows, 5))
            assert reader.ask("bus['p'].__setitem__(0, 1)").startswith("ReadOnlyError")
            if follows:
                page[1] = 7
                assert reader.ask("int(bus['p'][1])") == "7"
            assert reader.ask("bus.verify().ok, bus.digest()") == repr((True, bus.digest()))
        finally:
            reader.end()

    reads(True)
    digest = bus.digest()
    bus.close()
    bus = mmsb.open(path, "r")
    reads(False)
    assert bus.digest() == digest


def test_another_user_reads_what_it_may_and_nothing_else() -> None:
    if os.geteuid():
        pytest.skip("only root becomes somebody else")
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        path = Path(place) / "bus"
        bus = mmsb.open(path)
        page = bus.create_page("p", shape=(10,), dtype="i8")
        page[0] = 5
        kept = [folder(path), *folder(path).rglob("*"), *(file for file in path.rglob("*") if file.is_file())]
        assert {file.stat().st_mode & 0o077 for file in kept} == {0}
        other = Told(NOBODY, path)
        try:
            for mode in ("a", "r+", "r"):
                said = other.ask(f"mmsb.open(path, {mode!r})")
                assert said.startswith("PermissionDenied"), said
                assert str(path) in said
            for file in (path, *path.rglob("*")):
                file.chmod(0o755 if file.is_dir() else 0o644)
            # What may be read is read, as a copy of its own: the memory is not this user's.
            assert other.ask("globals().update(bus=mmsb.open(path, 'r')) or bus.follows") == "False"
            assert other.ask("int(bus['p'][0]), bus.digest()") == repr((5, bus.digest()))
            assert other.ask("mmsb.open(path, 'r+')").startswith("PermissionDenied")
            page[0] = 6
            assert other.ask("int(bus['p'][0])") == "5"
        finally:
            other.end()
        assert bus.verify().ok
        bus.close()


def test_shared_memory_that_is_full_is_an_error_for_all_and_nothing_is_lost(tmp_path: Path) -> None:
    small = 'mount -t tmpfs -o size=24m tmpfs /dev/shm && exec "$@"'
    alone = ["unshare", "--mount", "--map-root-user", "sh", "-c", small, "sh"]
    try:
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this user mounts nothing")
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    path = tmp_path / "bus"
    first = Told(FULL, path, *alone)
    try:
        assert first.ask("bus.create_page('mine', shape=(1000,), dtype='i8').name") == "'mine'"
        # A second process, which has the same shared memory.
        assert first.ask("start()") == "True"
        pages = int(first.ask("fill()"))
        assert 8 < pages < 64
        assert first.ask("says[-1]").startswith("'DiskFull no space left in /dev/shm/")
        # The other one sees all of it, and gets the same error.
        assert first.ask("ask('len(bus)')") == repr(str(pages + 1))
        said = first.ask("ask('fill(1)')")
        assert said == "'0'", said
        assert first.ask("ask('says[-1].split()[0]')") == repr("'DiskFull'")
        assert first.ask("[bus.drop_page(name) for name in list(bus) if name != 'mine'] and len(bus)") == "1"
        assert first.ask("bus['mine'].__setitem__(0, 7) or ask('int(bus[\"mine\"][0])')") == "'7'"
        assert first.ask("bus.verify().ok") == "True"
        # What the one has taken is the other one's when it goes.
        assert first.ask("bus.close() or len(repr(globals().pop('bus'))) > 0") == "True"
        assert first.ask("ask('bus[\"mine\"].__setitem__(1, 8)')") == "'None'"
        assert first.ask("ask('int(bus[\"mine\"][1]), bus.verify().ok')") == "'(8, True)'"
    finally:
        first.end()
    with mmsb.open(path) as bus:
        assert bus["mine"].array[:2].tolist() == [7, 8]
