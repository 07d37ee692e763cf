"""The mistakes that `tests/test_messages.py` makes, one row each: what is called, and what must answer it."""

from typing import NamedTuple


class Row(NamedTuple):
    """A mistake, the error that answers it, and what its message must hold."""

    name: str
    call: object
    error: type[Exception]
    fragments: tuple[str, ...]


def row(name, call, error, *fragments):
    return Row(name, call, error, fragments)


def keyword_rows(owner, function, *args, **answers):
    """A row for each unknown keyword; what stands for a dot in a host's name is an underscore."""
    calls = {name: (lambda name=name: function(*args, **{name: 1})) for name in answers}
    return [
        row(f"{owner}({name}=)", calls[name], TypeError, f"{owner} got an unexpected keyword argument {name!r}", answer)
        for name, answer in answers.items()
    ]
