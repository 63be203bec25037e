"""Text as one line that shows what is in it."""

import re

# What controls a terminal, ends a line, or turns the line round; joiners inside a word are let be.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def legible(text: str) -> str:
    """The text with its control characters written out, as `repr` writes them."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
