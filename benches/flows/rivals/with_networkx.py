"""networkx: a graph, looked at for circles once at the end. It holds no values."""

import time

import networkx as nx

from flows.declared import SOURCES, declared, inputs
from peers.case import Place


def checked(_: Place, count: int) -> tuple[float, None]:
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(SOURCES))
    start = time.perf_counter()
    for i in range(SOURCES, SOURCES + count):
        graph.add_node(i)
        for k in inputs(i):
            graph.add_edge(k, i)
    if not nx.is_directed_acyclic_graph(graph):
        raise AssertionError("a circle")
    return time.perf_counter() - start, None


declared("networkx: add_edge, checked once at the end", checked)
