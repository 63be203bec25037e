"""The tree of errors mirrors the codes of the core: one class for each code, each also a built-in error."""

from mmsb import errors
from mmsb._core import error_codes

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.MmsbError) and value is not errors.MmsbError
]


def test_each_code_of_the_core_has_one_class() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert set(codes) == set(error_codes())


def test_each_error_is_also_a_built_in() -> None:
    general = (Exception, BaseException, object)
    alone = [
        cls.__name__
        for cls in CLASSES
        if not any(base.__module__ == "builtins" and base not in general for base in cls.__mro__)
    ]
    assert alone == []


def test_a_message_is_shown_as_it_is() -> None:
    assert str(errors.PageNotFound("no page named 'x'")) == "no page named 'x'"
