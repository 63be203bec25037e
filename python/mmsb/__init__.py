"""Memory-Mapped State Bus: typed arrays in pages, every change a delta in one log, every past state kept."""

from mmsb._core import __version__

__all__ = ["__version__"]
