"""`mmsb verify` and `mmsb doctor`: whether a bus is what was written, and what to do where it is not."""

from __future__ import annotations

import click

import mmsb
from mmsb.cli.options import json_option, path_argument
from mmsb.cli.output import emit, plural, say, size
from mmsb.cli.progress import progress


@click.command()
@path_argument
@json_option
@click.pass_context
def verify(ctx: click.Context, path: str, as_json: bool) -> None:
    """Check what is on disk, and that replay agrees.

    Reads every frame, footer, checkpoint and image, and compares checkpoints with a replay of the log.
    Changes nothing. Exit code 1 if anything is wrong.
    """
    with progress("verify") as tick:
        report = mmsb.verify(path, progress=tick)
    if as_json:
        counts = {name: getattr(report, name) for name in ("frames", "segments", "checkpoints", "bytes")}
        emit({"path": path, "ok": report.ok, "findings": report.findings, **counts})
    else:
        for finding in report.findings:
            say(finding, "red")
        read = f"{plural(report.frames, 'frame')} in {plural(report.segments, 'log segment')}"
        read += f", {plural(report.checkpoints, 'checkpoint')}, {size(report.bytes)}"
        say(f"{path}: {'all is well' if report.ok else plural(len(report.findings), 'finding')}; {read} read")
    ctx.exit(0 if report.ok else 1)


@click.command()
@path_argument
@click.option("--salvage", is_flag=True, help="Cut the log at the first damage. What is behind it is lost.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, path: str, salvage: bool, as_json: bool) -> None:
    """Say what is wrong, and what can be done.

    Nothing is changed without --salvage. Exit code 1 if anything is wrong, or was.
    """
    with progress("doctor") as tick:
        report = mmsb.doctor(path, salvage=salvage, progress=tick)
    if as_json:
        emit({"path": path, "ok": report.ok, "findings": report.findings, "salvaged": report.salvaged})
    else:
        for finding in report.findings:
            say(finding, "red")
        for line in report.salvaged:
            say(line)
        if report.ok:
            say(f"{path}: all is well")
        elif not salvage:
            say("nothing was changed; --salvage cuts the log at the first damage, and what is behind is lost")
    ctx.exit(0 if report.ok else 1)
