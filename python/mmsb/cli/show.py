"""`mmsb show`: a bus, its pages and branches, and the cells of a page."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from mmsb.bus import Bus
from mmsb.cli.cells import as_json as cells_json
from mmsb.cli.cells import show_cells
from mmsb.cli.options import (
    Rows,
    branch_option,
    json_option,
    opened,
    page_argument,
    path_argument,
    rows_argument,
)
from mmsb.cli.output import dtype_name, emit, plural, say, size, table
from mmsb.cli.progress import progress


@click.command()
@path_argument
@page_argument()
@rows_argument
@branch_option
@click.option("--digest", is_flag=True, help="The digest of the state, too: the same on every machine.")
@json_option
def show(
    path: str, page: str | None, rows: Rows | None, branch: str | None, digest: bool, as_json: bool
) -> None:
    """Show a bus, or the cells of a page.

       Without PAGE: the pages and branches there are.
    ROWS are written as
       numpy does: 5, 5:8, ::100, or a list 1,4,7. Where they start with a minus, put -- in front of PATH.
    """
    with opened(path, branch=branch) as bus:
        about: dict[str, Any] = {"path": path, "branch": bus.branch_name, "epoch": bus.epoch}
        if digest:
            with progress("digest") as tick:
                about["digest"] = bus.digest(tick)
        if page is not None:
            show_page(bus[page], rows, as_json, about.get("digest"))
            return
        branches = branches_of(bus)
        if as_json:
            emit({**about, "pages": [describe(bus[name]) for name in bus], "branches": branches})
            return
        say(f"{path}: branch {bus.branch_name} at epoch {bus.epoch}, {plural(len(bus), 'page')}")
        if digest:
            say(f"digest {about['digest']}")
        show_pages(bus)
        if len(branches) > 1:
            show_branches(branches)


def show_page(page: Any, rows: Rows | None, as_json: bool, digest: str | None = None) -> None:
    """Print one page and its cells, and the digest of its state where there is one."""
    if as_json:
        emit({**({"digest": digest} if digest else {}), **describe(page), **cells_json(page, rows)})
        return
    if digest:
        say(f"digest {digest}")
    show_cells(
        page, rows, f"{page.name}: {makeup(page)}, {size(page.nbytes)}, changed last at epoch {page.version}"
    )


def describe(page: Any) -> dict[str, Any]:
    """All that is known of a page, as JSON has it."""
    about = {"id": page.id, "name": page.name, "kind": page.kind, "shape": list(page.shape)}
    columns = [
        {"name": name, "dtype": dtype, "inner": list(inner)} for name, dtype, inner in columns_of(page)
    ]
    return {**about, "columns": columns, "op": page.op, "bytes": page.nbytes, "version": page.version}


def columns_of(page: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype and inner shape of each column."""
    if page.kind != "table":
        return [(page.columns[0], dtype_name(page.dtype), tuple(page.shape[1:]))]
    fields = [(name, page.dtype.fields[name][0]) for name in page.dtype.names]
    return [(name, dtype_name(field.base), field.shape) for name, field in fields]


def makeup(page: Any) -> str:
    """What a page is made of: `float32[1000, 3]`, or the columns of a table."""
    if page.kind != "table":
        return dtype_name(page.dtype) + (str(list(page.shape)) if page.shape else "")
    columns = columns_of(page)
    some = ", ".join(f"{name} {dtype}{list(inner) if inner else ''}" for name, dtype, inner in columns[:6])
    return some if len(columns) <= 6 else f"{some} and {plural(len(columns) - 6, 'column')} more"


def show_pages(state: Any) -> None:
    """Print the pages of a bus or a state."""
    if not len(state):
        return
    pages = [state[name] for name in state]
    table(
        [">id", "name", "kind", "cells", ">rows", ">bytes", ">version"],
        [
            (
                page.id,
                page.name,
                page.kind,
                makeup(page),
                f"{len(page):,}" if page.shape else "",
                size(page.nbytes),
                page.version,
            )
            for page in pages
        ],
    )


def branches_of(bus: Bus) -> list[dict[str, Any]]:
    """The branches of a bus, as JSON has them."""
    return [dataclasses.asdict(branch) for branch in bus.branches().values()]


def show_branches(branches: list[dict[str, Any]]) -> None:
    """Print branches, and where they come from."""
    table(["branch", ">epoch", "from"], [(one["name"], one["epoch"], origin(one)) for one in branches])


def origin(branch: dict[str, Any]) -> str:
    """Where a branch comes from, in words."""
    return "" if branch["parent"] is None else f"{branch['parent']} at {branch['forked_at']}"
