"""Who is measured, in a file each: mmsb, the machine, and rivals. One that is not installed is left out."""

import importlib

NAMES = (
    "ours",
    "ours_long",
    "machine",
    "with_lmdb",
    "lmdb_long",
    "with_sqlite",
    "sqlite_long",
    "with_redis",
    "with_duckdb",
    "with_icechunk",
    "with_shared",
    "with_numpy",
)


def load() -> dict[str, str]:
    """Adds everybody's cases; why each one that is missing is."""
    absent = {}
    for name in NAMES:
        try:
            importlib.import_module(f"peers.rivals.{name}")
        except ImportError as error:
            absent[name.removeprefix("with_")] = str(error)
    return absent
