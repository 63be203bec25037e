"""The group of all commands: their order, their errors, their exit codes.

Exit codes: 0; 1, something is wrong, with what was looked at or with what was asked of it; 2, the line makes
no sense.
"""

from __future__ import annotations

import os
import sys

import click

import mmsb
from mmsb.cli.at import at
from mmsb.cli.branch import branch
from mmsb.cli.check import doctor, verify
from mmsb.cli.completion import completion
from mmsb.cli.demo import demo
from mmsb.cli.diff import diff
from mmsb.cli.graph import graph
from mmsb.cli.keep import checkpoint, export, prune
from mmsb.cli.log import log
from mmsb.cli.output import aside
from mmsb.cli.show import show
from mmsb.cli.top import top
from mmsb.cli.trace import trace

COMMANDS = (
    demo,
    show,
    log,
    diff,
    at,
    branch,
    graph,
    trace,
    top,
    verify,
    doctor,
    checkpoint,
    prune,
    export,
    completion,
)


class Commands(click.Group):
    """The commands, in the order they are told; an error of a bus is one sentence and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except mmsb.MmsbError as error:
            aside(f"mmsb: {error.code}: {error}")
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mmsb.__version__, prog_name="mmsb", message="%(prog)s %(version)s")
def cli() -> None:
    """Look into a bus, keep it, and run the demo.

    PATH is the directory of a bus. Errors are one sentence with their code. Exit codes: 0, 1 (found something
    wrong), 2 (usage).
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """What the installed command `mmsb` calls."""
    try:
        try:
            cli.main(prog_name="mmsb")
        finally:
            sys.stdout.flush()
    except OSError as error:
        if sys.stdout.fileno() != 1:
            raise
        aside(f"mmsb: the output cannot be written: {error.strerror or error}")
        # What is left of it cannot be written at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
