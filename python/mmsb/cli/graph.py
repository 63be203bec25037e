"""`mmsb graph`: what follows from what, as a tree of text, for Graphviz, or as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import click

from mmsb.cli.options import branch_option, json_option, opened, path_argument
from mmsb.cli.output import aside, emit, say

Nodes = list[dict[str, Any]]
Edges = list[tuple[int, int, str]]

DEEP = 40
"""Levels that a tree is indented by."""

# Of the picture, in pixels.
WIDE, HIGH, BESIDE, BELOW = 150, 34, 24, 60


@click.command()
@path_argument
@click.option(
    "--format", "form", type=click.Choice(["tree", "dot", "svg"]), default="tree", show_default=True
)
@branch_option
@json_option
def graph(path: str, form: str, branch: str | None, as_json: bool) -> None:
    """Show what follows from what."""
    with opened(path, branch=branch) as bus:
        found = bus.graph()
        numbers = {node: i for i, node in enumerate(found.node_indices())}
        nodes: Nodes = list(found.nodes())
        edges: Edges = [(numbers[a], numbers[b], about["kind"]) for a, b, about in found.weighted_edge_list()]
    if as_json:
        pairs = [{"from": nodes[a]["page"], "to": nodes[b]["page"], "kind": kind} for a, b, kind in edges]
        emit({"path": path, "pages": nodes, "edges": pairs})
    elif not nodes:
        aside("no page follows from another")
    else:
        for line in {"tree": tree, "dot": dot, "svg": svg}[form](nodes, edges):
            say(line) if form == "tree" else click.echo(line)


def _followers(nodes: Nodes, edges: Edges) -> list[list[tuple[int, str]]]:
    found: list[list[tuple[int, str]]] = [[] for _ in nodes]
    for source, target, kind in edges:
        found[source].append((target, kind))
    return found


def tree(nodes: Nodes, edges: Edges) -> Iterator[str]:
    """Each page below what it follows from; once in full, then by name."""
    followers = _followers(nodes, edges)
    below = {target for _, target, _ in edges}
    told: set[int] = set()
    stack = [(node, 0, "") for node in reversed(range(len(nodes))) if node not in below]
    while stack:
        node, depth, kind = stack.pop()
        about = nodes[node]
        # A chain of thousands is told by number from some depth on, not by as many spaces.
        indent = "  " * depth if depth <= DEEP else "  " * DEEP + f"({depth}) "
        line = indent + about["page"]
        if about["rule"]:
            line += f" = {about['rule']}"
        if kind not in ("", "data"):
            line += f" ({kind})"
        if about["stale"]:
            line += " [stale]"
        if node in told and followers[node]:
            line += " ..."
        else:
            stack += [(target, depth + 1, kind) for target, kind in reversed(followers[node])]
        told.add(node)
        yield line


def dot(nodes: Nodes, edges: Edges) -> Iterator[str]:
    """As Graphviz reads it."""

    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    yield "digraph mmsb {"
    yield "  node [shape=box];"
    for number, about in enumerate(nodes):
        label = about["page"] + (f"\n{about['rule']}" if about["rule"] else "")
        yield f"  {number} [label={quoted(label)}{', style=dashed' if about['stale'] else ''}];"
    for source, target, kind in edges:
        yield f"  {source} -> {target}{'' if kind == 'data' else f' [style=dotted, label={quoted(kind)}]'};"
    yield "}"


def _levels(nodes: Nodes, edges: Edges) -> list[int]:
    """Of each page one more than the highest of its inputs' (Kahn, 1962)."""
    followers, waits = _followers(nodes, edges), [0] * len(nodes)
    for _, target, _ in edges:
        waits[target] += 1
    levels, ready = [0] * len(nodes), [node for node, count in enumerate(waits) if not count]
    while ready:
        node = ready.pop()
        for target, _ in followers[node]:
            levels[target] = max(levels[target], levels[node] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return levels


def svg(nodes: Nodes, edges: Edges) -> Iterator[str]:
    """A picture: a row for each level, what follows below what it follows from."""
    levels, used = _levels(nodes, edges), dict[int, int]()
    places = []
    for level in levels:
        column = used.get(level, 0)
        used[level] = column + 1
        places.append((BESIDE + column * (WIDE + BESIDE), BESIDE + level * (HIGH + BELOW)))
    width = BESIDE + max(used.values()) * (WIDE + BESIDE)
    height = BESIDE + (max(levels) + 1) * (HIGH + BELOW)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    yield (
        '<defs><marker id="end" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L10,5 L0,10 z"/></marker></defs>'
    )
    for source, target, kind in edges:
        (a, b), (c, d) = places[source], places[target]
        dashed = "" if kind == "data" else ' stroke-dasharray="4"'
        yield (
            f'<line x1="{a + WIDE // 2}" y1="{b + HIGH}" x2="{c + WIDE // 2}" y2="{d}" stroke="black"'
            f'{dashed} marker-end="url(#end)"/>'
        )
    for (x, y), about in zip(places, nodes, strict=True):
        fill = "#f4d6d6" if about["stale"] else "#e6eef7" if about["rule"] else "#f2f2f2"
        yield f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="4" fill="{fill}" stroke="black"/>'
        yield (
            f'<text x="{x + WIDE // 2}" y="{y + HIGH // 2 + 4}" text-anchor="middle" font-size="12">'
            f"{escape(about['page'])}<title>{escape(about['rule'] or 'written')}</title></text>"
        )
    yield "</svg>"
