"""The command `mmsb`: look into a bus, keep it, and run the demo, from a terminal or a script."""

from mmsb.cli.app import cli, main

__all__ = ["cli", "main"]
