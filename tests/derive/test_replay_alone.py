"""Replay, past states and a reopened bus where the code of every rule is gone: none of it is wanted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmsb

RULES = '''
"""The functions of users, and what is done with them; this file is deleted before anything is replayed."""
import json, sys
import numpy as np
import mmsb

def double(a): return a * 2
def shifted(a, changed): return a + 1
def slow(a): return a - 1

MINE = mmsb.monoid("mine", lambda a, b: a + b, 0, "int64")

with mmsb.open(sys.argv[1]) as bus:
    a = bus.create_page("a", shape=(4,), dtype="int64")
    bus.derive("doubled", double, inputs=[a], shape=(4,), dtype="int64")
    bus.derive("shifted", shifted, inputs=["doubled"], shape=(4,), dtype="int64", changed=True)
    bus.derive("late", slow, inputs=["doubled"], shape=(4,), dtype="int64", when="deferred")
    bus.derive("seen", double, inputs=[a], shape=(4,), dtype="int64", when="lazy")
    bus.derive("mine", mmsb.reduce(bus["shifted"], MINE))
    bus.derive("total", mmsb.reduce(bus["shifted"], "sum"))
    said = {}
    def tell(bus=bus):
        bus.settle()
        said[bus.epoch] = {"digest": bus.digest(), **{p: bus[p].array.tolist() for p in sys.argv[2].split()}}
    for row in range(4):
        a[row] = row + 1
        tell()
    a.merge(5, op=MINE)
    tell()
    branch = bus.branch("other")
    branch["a"][0] = 100
    branch.settle()
    print(json.dumps({"main": said, "other": branch.digest()}))
'''
MADE = "doubled shifted late mine total"


@pytest.fixture
def left(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A bus whose pages functions of a file made, and what it held; the file is gone."""
    rules, path = tmp_path / "rules.py", tmp_path / "bus"
    rules.write_text(RULES)
    ran = subprocess.run([sys.executable, rules, path, MADE], check=True, capture_output=True, text=True)
    rules.unlink()
    assert "rules" not in sys.modules
    return path, json.loads(ran.stdout)


def test_every_state_comes_back_without_the_functions(left: tuple[Path, dict[str, Any]]) -> None:
    """Digests and cells of each epoch and branch, from the log alone."""
    path, said = left
    with mmsb.open(path) as bus:
        assert bus.verify().ok, "a replay of all branches from the first frame on"
        for epoch, held in said["main"].items():
            then = bus.at(int(epoch))
            assert then.digest() == held["digest"]
            for page in MADE.split():
                assert then[page].array.tolist() == held[page], (epoch, page)
        assert bus.checkout("other").digest() == said["other"]
        with pytest.raises(mmsb.RuleError, match="does not know"):
            _ = bus["seen"].array
        assert bus["total"].array == np.sum(bus["shifted"].array)


def test_what_is_left_can_be_written_reverted_and_checkpointed(left: tuple[Path, dict[str, Any]]) -> None:
    """Pages of unknown functions are stale and keep their cells; going back needs none of them."""
    path, said = left
    last = max(said["main"], key=int)
    with mmsb.open(path) as bus:
        bus["a"][0] = -1
        assert bus.explain("doubled").stale
        assert bus.explain("total").stale
        assert bus["doubled"].array.tolist() == said["main"][last]["doubled"]
        bus.revert(int(last))
        assert bus.digest() == said["main"][last]["digest"]
        bus.checkpoint()
    with mmsb.open(path) as bus:
        assert bus.digest() == said["main"][last]["digest"]
        assert bus.verify().ok
