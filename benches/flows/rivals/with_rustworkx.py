"""rustworkx: a graph that refuses circles, edge by edge. It holds no values."""

import time

import rustworkx

from flows.declared import SOURCES, declared, inputs
from peers.case import Place


def checked(_: Place, count: int) -> tuple[float, None]:
    graph = rustworkx.PyDAG(check_cycle=True)
    graph.add_nodes_from(range(SOURCES))
    start = time.perf_counter()
    for i in range(SOURCES, SOURCES + count):
        node = graph.add_node(i)
        for k in inputs(i):
            graph.add_edge(k, node, None)
    return time.perf_counter() - start, None


declared("rustworkx: add_edge, checked", checked)
