"""Chains and fans, as everybody builds them, and what must come of them."""

from collections.abc import Callable
from functools import cache

from flows.workloads import LINE
from peers.case import Place, Work, case

Node = tuple[tuple[int, ...], float]
"""The numbers of its inputs, all before its own (0 is the source), and what it adds to their sum."""
Write = Callable[[float], object]
Read = Callable[[], float]
Make = Callable[[Place, list[Node]], tuple[Write, Read]]
"""Builds a graph: what writes its source so that all that follows is made, and what reads its last node."""
COUNT = 1000


@cache
def net(name: str) -> list[Node]:
    """The nodes of a chain or a fan."""
    if name == LINE:
        return [((at,), 1.0) for at in range(COUNT)]
    nodes: list[Node] = [((0,), float(number)) for number in range(COUNT)]
    row = list(range(1, COUNT + 1))
    while len(row) > 1:
        following = []
        for pair in zip(row[::2], row[1::2], strict=False):
            nodes.append((pair, 0.0))
            following.append(len(nodes))
        row = following + row[len(row) - len(row) % 2 :]
    return nodes


def expected(name: str, value: float) -> float:
    """What the last node is."""
    if name == LINE:
        return value + COUNT
    return COUNT * value + COUNT * (COUNT - 1) / 2


def agree(found: float, name: str, value: float) -> None:
    """An error where the last node is something else."""
    if found != expected(name, value):
        raise AssertionError(f"the {name} of {value} ends with {found}, and not {expected(name, value)}")


def kept(workload: str, who: str, make: Make) -> None:
    """Adds the case of a party."""
    name = workload.split()[0]

    @case(workload, who, "memory")
    def run(at: Place) -> Work:
        nodes = net(name)
        write, read = make(at, nodes)
        last = [3.0]
        write(3.0)
        agree(read(), name, 3.0)
        at.after.callback(lambda: agree(read(), name, last[0]))
        at.checks.append(
            f"{workload}: the last node is the same for everybody, at the first write and the last"
        )

        def writes(steps: range) -> None:
            for step in steps:
                write(step + 4.0)
            last[0] = steps[-1] + 4.0

        return Work(writes, parts=len(nodes))
