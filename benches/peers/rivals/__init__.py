"""Who is measured, in a file each: mmsb, the machine, and rivals. One that is not installed is left out."""

import importlib
from collections.abc import Sequence


def load(modules: Sequence[str]) -> dict[str, str]:
    """Adds everybody's cases; why each one that is missing is."""
    absent = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            absent[module.rpartition(".")[2].removeprefix("with_")] = str(error)
    return absent
