"""Errors that are told what they are about."""

import pytest

import mmsb
from mmsb.errors import about


def test_what_is_said_of_an_error_leaves_all_that_it_knows() -> None:
    """Its cause, its notes and what else it carries."""
    failed = mmsb.RuleError("it failed")
    failed.page, failed.rule, failed.path = "b", "f", ("a", "b")
    failed.add_note("a note")
    cause = KeyError("why")
    with pytest.raises(mmsb.RuleError, match=r"^here: it failed\na note$") as caught, about("here"):
        raise failed from cause
    told = caught.value
    assert (told.page, told.rule, told.path) == ("b", "f", ("a", "b"))
    assert told.__notes__ == ["a note"]
    assert told.__cause__ is cause
    lost = mmsb.ConflictError("lost")
    lost.clashes = [("a", [1], "cells")]
    with pytest.raises(mmsb.ConflictError) as conflict, about("here"):
        raise lost
    assert conflict.value.pages == ["a"]
