"""What the compiled core offers; `make lint` compares this file with the built module."""

__all__ = ["__version__"]

__version__: str
