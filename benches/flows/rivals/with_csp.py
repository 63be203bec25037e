"""csp: a graph that is played from a start to an end; a write is a tick of its source."""

import time
from datetime import datetime, timedelta
from typing import Any

import csp
from csp import ts

from flows.nets import agree, net
from flows.workloads import FAN, FAN_CALLS, LINE, LINE_CALLS
from peers.case import Place, case

START, TICK = datetime(2026, 1, 1), timedelta(seconds=1)


@csp.node
def plus(a: ts[float], b: float) -> ts[float]:
    """A number more."""
    if csp.ticked(a):
        csp.output(a + b)


@csp.node
def both(a: ts[float], b: ts[float]) -> ts[float]:
    """The sum of two."""
    if csp.ticked(a, b):
        csp.output(a + b)


@csp.graph
def played(name: str, python: bool, ticks: int) -> ts[float]:
    """All nodes, and ticks of the source: 0, 1, 2 and so on."""
    source = csp.curve(float, [(TICK * (at + 1), float(at)) for at in range(ticks)])
    made = [source]
    for numbers, more in net(name):
        of = [made[number] for number in numbers]
        if python:
            made.append(plus(of[0], more) if len(of) == 1 else both(of[0], of[1]))
        else:
            made.append(of[0] + csp.const(more) if len(of) == 1 else of[0] + of[1])
    return csp.sample(source, made[-1])


def play(name: str, python: bool, ticks: int) -> float:
    """Seconds to play so many ticks, setting up apart."""
    graph: Any = csp.build_graph(played, name, python, ticks)
    start = time.perf_counter()
    found = csp.run(graph, starttime=START, endtime=TICK * (ticks + 1))
    took = time.perf_counter() - start
    agree(found[0][-1][1], name, float(ticks - 1))
    return took


def ticked(workload: str, who: str, python: bool) -> None:
    name = workload.split()[0]

    @case(workload, who, "memory")
    def run(at: Place) -> list[float]:
        ticks = 200 if at.scale.quick else 1000
        # What starting and ending take is that of a run with few ticks.
        few = ticks // 10
        played_both = [(play(name, python, few), play(name, python, ticks)) for _ in range(at.scale.few)]
        return [(long - short) / (ticks - few) / len(net(name)) for short, long in played_both]


ticked(LINE, "csp: nodes in C++", False)
ticked(FAN, "csp: nodes in C++", False)
ticked(LINE_CALLS, "csp", True)
ticked(FAN_CALLS, "csp", True)
