"""What follows from what, as a graph of rustworkx."""

from typing import TYPE_CHECKING, Any

from mmsb._core import Bus as CoreBus
from mmsb.derive.explain import Names, edges

if TYPE_CHECKING:
    import rustworkx


def graph(bus: CoreBus) -> "rustworkx.PyDiGraph[dict[str, Any], dict[str, str]]":
    """Pages and what follows from what."""
    import rustworkx  # here, for most who use a bus never ask for its graph

    found, names = [*edges(bus)], Names(bus)
    result: rustworkx.PyDiGraph[dict[str, Any], dict[str, str]] = rustworkx.PyDiGraph(check_cycle=False)
    nodes: dict[int, int] = {}

    def node(page: int) -> int:
        if page not in nodes:
            about = {"page": names(page), "id": page, "rule": "", "kind": "source", "stale": False}
            nodes[page] = result.add_node(about)
        return nodes[page]

    for page, stale, kind, rule, inputs in found:
        result[node(page)].update(rule=rule, kind=kind, stale=stale)
        result.add_edges_from([(node(source), node(page), {"kind": edge}) for source, edge in inputs])
    return result
