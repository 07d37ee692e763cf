"""Error messages: they name the call and the argument, say what it got, and what to write instead."""

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial, wraps
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, ParamSpec, TypeVar

from deva_core.keywords import FOREIGN

P = ParamSpec("P")
R = TypeVar("R")
LONG = 120
"""Characters of a value that an error shows."""


def brief(value: Any) -> str:
    """A value as errors show it: its `repr` on one line, or its type where that would be too long."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, FunctionType | ModuleType):
        return f"the {'module' if isinstance(value, ModuleType) else 'function'} {value.__name__}"
    text = " ".join(repr(value).split())
    shape = getattr(value, "shape", None)
    if " at 0x" in text:
        return a(type(value).__name__)
    if len(text) <= LONG and not (isinstance(shape, tuple) and any(n > 1 for n in shape)):
        return text
    return f"an array of shape {tuple(shape)}" if isinstance(shape, tuple) else a(type(value).__name__)


def a(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name closest to `name`, if any is close."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), None)


def named_in(answer: str) -> list[str]:
    """Our keywords in an answer, without those of a rule in parentheses."""
    return re.findall(r"(\w+)=", re.sub(r"\([^()]*\)", "()", answer))


def answer_for(keyword: str, accepted: Collection[str]) -> str | None:
    """The table's answer to another implementation's keyword, for a function that accepts `accepted`."""
    if keyword not in FOREIGN:
        return None
    whose, answers = FOREIGN[keyword]
    said = next((answer for answer in answers if set(named_in(answer)) <= set(accepted)), None)
    if said is None:
        return None
    here = "here it is " if re.match(r"\w+=", said) else ""
    return f"{whose and f'a keyword of {whose}; '}{here}{said}"


def unexpected(owner: str, keyword: str, accepted: Collection[str]) -> TypeError:
    """The error for a keyword that is not accepted: another implementation's, a typo, or unknown."""
    accepted = [name for name in accepted if name[0] != "_"]
    close = nearest(keyword, accepted, 0.7)
    hint = answer_for(keyword, accepted) or (f"did you mean {close!r}?" if close else f"it takes {', '.join(accepted)}")
    return TypeError(f"{owner} got an unexpected keyword argument {keyword!r}: {hint}")


def compute_dtype_message(value: Any) -> str:
    """The error for a dtype that Newton–Schulz products cannot have."""
    narrow = ": products in 8 bits are not supported" if "float8" in str(value) else ""
    return f'compute_dtype must be "auto" or a floating dtype of 16 bits or more such as "bfloat16", got {brief(value)}{narrow}'


class Call(NamedTuple):
    """What a function accepts."""

    positional: tuple[str, ...]
    keywords: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool
    """Whether it takes keywords that its signature does not list."""


@cache
def call_of(function: Callable[..., Any], bound: bool = False) -> Call:
    """What a function accepts, by its signature; `**options: Unpack[…]` are the keys of that dict."""
    parameters = list(inspect.signature(function).parameters.values())[bound:]
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keywords = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    options = next((p.annotation for p in parameters if p.kind == p.VAR_KEYWORD), None)
    listed = getattr(next(iter(getattr(options, "__args__", ())), None), "__annotations__", None)
    takes_any = (options is not None and listed is None) or any(p.kind == p.VAR_POSITIONAL for p in parameters)
    return Call(tuple(positional), (*keywords, *(listed or ())), tuple(required), takes_any)


def check_call(owner: str, call: Call, args: tuple, kwargs: Mapping[str, Any], others: str = "") -> None:
    """Raise unless a function accepts these arguments."""
    if call.takes_any:
        return
    for keyword in kwargs:
        if keyword not in call.keywords:
            raise unexpected(owner, keyword, call.keywords)
    if len(args) > len(call.positional):
        others_by_name = [name for name in call.keywords if name not in call.positional]
        rest = sorted(others_by_name, key=lambda name: name != "lr")[:3]  # users look for the learning rate first
        raise TypeError(
            f"{owner} takes {', '.join(call.positional) or 'nothing'} by position, got {len(args)}: write the "
            f"others by name, as in {', '.join(f'{name}=…' for name in rest)}{others and f' ({others})'}"
        )
    given = {*call.positional[: len(args)], *kwargs}
    missing = [name for name in call.required if name not in given]
    if missing or len(given) < len(args) + len(kwargs):
        twice = next((name for name in call.positional[: len(args)] if name in kwargs), "")
        raise TypeError(f"{owner} needs {', '.join(missing)}" if missing else f"{owner} got {twice!r} twice")


class Answering(inspect.Signature):
    """A signature that raises its function's errors: `optax.inject_hyperparams` binds arguments before it calls."""

    check: Callable[[tuple, Mapping[str, Any]], None] | None = None

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """The arguments by name, if the function accepts them."""
        if self.check is not None:
            self.check(args, kwargs)
        return super().bind(*args, **kwargs)


def class_of(value: Any) -> str:
    """The name of an object's class, with its package."""
    kind = type(value)
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


def answered(owner: str | None = None, others: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function, or an `__init__`, so that a wrong call raises an error that says what to write.

    Args:
        owner: the function's public name; for an `__init__`, None stands for its object's class.
        others: what other libraries' positional arguments mean.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        method = getattr(function, "__name__", "") == "__init__"
        call = call_of(function, method)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_call(owner or class_of(args[0]), call, args[method:], kwargs, others)
            return function(*args, **kwargs)

        if not method:
            seen = inspect.signature(function)
            signature = Answering(list(seen.parameters.values()), return_annotation=seen.return_annotation)
            signature.check = partial(check_call, owner or function.__name__, call, others=others)
            checked.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
        return checked

    return decorate
