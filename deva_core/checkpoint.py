"""The portable checkpoint: an optimizer's state in one safetensors file that every backend reads and writes.

| where | what |
|---|---|
| tensors | `<parameter>/<field>`, in `(…, out, in)` orientation; `%` and `/` in a name are written `%25` and `%2F` |
| `format`, `format_version` | `deva-optim`, `1` |
| `specification_version` | version of the rules' arithmetic (`deva_core.SPECIFICATION`); trajectories differ between versions |
| `optimizer` | JSON: `count`, and for each parameter `step`, `rule`, `hyperparameters` (primitives), `layout` |
| `sha256` | the digest of the whole file with these 64 digits zero |

Core owns the schema and its checks, on host arrays (anything with `dtype.name`, `shape` and `astype`); a backend passes
safetensors' functions in. The file does not hold the parameters: save those with your framework.
"""

import hashlib
import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from deva_core.hyperparameter import concrete, hyperparameters, is_scalar_array
from deva_core.messages import brief
from deva_core.rule import Rule
from deva_core.specification import SPECIFICATION, SpecificationWarning, changed_since

FORMAT, FORMAT_VERSION = "deva-optim", "1"
SCHEDULE = "<schedule>"
"""What the file holds for a callable hyperparameter."""
BLANK = "0" * 64
SHA256 = re.compile(rb'"sha256"\s*:\s*"([0-9a-f]{64})"')
"""Where the digest stands. Quotes inside names and values are escaped in JSON, so nothing else reads like this."""
OTHERS = {
    b"PK": "torch.save or numpy.savez wrote it; load a state dict by optimizer.load_state_dict(torch.load(path))",
    b"\x80": "pickle wrote it",
    b"\x93NUMPY": "numpy.save wrote it",
}
"""The first bytes of other formats."""
Rename = Mapping[str, str] | Callable[[str], str] | None
"""From a parameter's name in the checkpoint to its name here."""


class CheckpointError(ValueError):
    """Raised for a file that is corrupt or belongs to another optimizer; the message says what differs.

    Example:
        >>> from deva_core.checkpoint import verified
        >>> verified(b"some other file")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        deva_core.checkpoint.CheckpointError: not a deva-optim checkpoint, or corrupt: its header cannot be read (...)
    """


class Entry(NamedTuple):
    """One parameter's state, independent of any framework."""

    rule: Rule
    layout: str
    step: int
    fields: Mapping[str, Any]


def primitive(value: Any) -> Any:
    """A hyperparameter's value as JSON can hold it."""
    if callable(value):
        return SCHEDULE
    return concrete(value) if is_scalar_array(value) else value


def description(entry: Entry) -> dict[str, Any]:
    """The metadata of one parameter."""
    values = {name: primitive(getattr(entry.rule, name)) for name in hyperparameters(entry.rule)}
    return {
        "step": int(entry.step),
        "rule": type(entry.rule).__name__,
        "hyperparameters": json.loads(json.dumps(values)),
        "layout": entry.layout,
    }


def tensor_name(parameter: str, field: str) -> str:
    """`<parameter>/<field>`."""
    return parameter.replace("%", "%25").replace("/", "%2F") + "/" + field


def pack(entries: Mapping[str, Entry], count: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors and metadata."""
    tensors = {tensor_name(name, field): x for name, entry in entries.items() for field, x in entry.fields.items()}
    optimizer = {"count": int(count), "parameters": {name: description(entry) for name, entry in entries.items()}}
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "specification_version": str(SPECIFICATION),
        "optimizer": json.dumps(optimizer, sort_keys=True),
        "sha256": BLANK,
    }
    return tensors, metadata


def seal(data: bytes) -> bytes:
    """The file with its digest in place."""
    return with_digest(data, hashlib.sha256(data).hexdigest())


def with_digest(data: bytes, digest: str) -> bytes:
    """The file with these 64 digits in the place of its digest, in whose header that is; as it is where there is none."""
    end = 8 + int.from_bytes(data[:8], "little")
    place = SHA256.search(data, 8, end)
    return data if place is None else data[: place.start(1)] + digest.encode() + data[place.end(1) :]


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file."""
    try:
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    except KeyError:
        raise CheckpointError(
            "not a deva-optim checkpoint: a safetensors file of something else, such as a model's weights"
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        other = next((what for start, what in OTHERS.items() if data.startswith(start)), None)
        if other or not data:
            raise CheckpointError(f"not a deva-optim checkpoint: {other or 'the file is empty'}") from None
        raise CheckpointError(f"not a deva-optim checkpoint, or corrupt: its header cannot be read ({error})") from None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise CheckpointError("not a deva-optim checkpoint: its metadata names another format")
    return metadata


def verified(data: bytes) -> dict[str, str]:
    """The metadata of a file whose digest is right.

    Raises:
        CheckpointError: the digest is wrong: the file is truncated or was changed.
    """
    metadata = metadata_of(data)
    digest = str(metadata.get("sha256", ""))
    if hashlib.sha256(with_digest(data, BLANK)).hexdigest() != digest:
        raise CheckpointError("corrupt: the file's SHA-256 differs from the one written in it (truncated or changed)")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"the file has format version {metadata.get('format_version')!r}; this library reads {FORMAT_VERSION!r}"
        )
    return metadata


def write(path: Any, data: bytes) -> None:
    """Write a file completely or not at all: to a temporary file in the same folder, which is then renamed."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {str(path)!r}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def save(path: Any, entries: Mapping[str, Entry], count: int, serialize: Callable[..., bytes]) -> None:
    """Write the state of an optimizer; `serialize(tensors, metadata)` is safetensors' `save`."""
    tensors, metadata = pack(entries, count)
    write(path, seal(serialize(tensors, metadata)))


def load(
    path: Any, live: Mapping[str, Entry], deserialize: Callable[[bytes], Mapping[str, Any]], rename: Rename = None
) -> tuple[int, dict[str, Entry]]:
    """Read the state for an optimizer whose current state is `live`. Returns `(count, entries)` and leaves `live` alone.

    `deserialize(data)` is safetensors' `load`.

    Raises:
        CheckpointError: the file is corrupt or has a later specification version; or names, rules, structural
            hyperparameters, fields, shapes or dtypes differ. The message says which. Differing numeric hyperparameters
            only warn.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"cannot read {str(path)!r}: it is a folder; name the file that save wrote")
    data = Path(path).read_bytes()
    metadata = verified(data)
    version = specification_of(metadata)
    optimizer, tensors = described(metadata), decoded(data, deserialize)
    saved, fields = renamed(optimizer["parameters"], rename), by_parameter(tensors)
    check_names(saved, live)
    entries = {name: restored(name, *saved[name], entry, fields) for name, entry in live.items()}
    warn_of_changes(version, {type(entry.rule).__name__ for entry in entries.values()})
    return optimizer["count"], entries


def specification_of(metadata: Mapping[str, str]) -> int:
    """The version of the arithmetic under which a file was written.

    Raises:
        CheckpointError: there is none, or it is later than this library's.
    """
    version = str(metadata.get("specification_version"))
    if not (version.isascii() and version.isdigit() and int(version) >= 1):
        raise CheckpointError(f"the specification version is malformed: {version!r}")
    if int(version) > SPECIFICATION:
        raise CheckpointError(
            f"the file was written under specification version {version}, but this library has {SPECIFICATION}: "
            "update deva-optim, or load the file with the release that wrote it"
        )
    return int(version)


def warn_of_changes(version: int, rules: Iterable[str]) -> None:
    """Warn if the run began under an earlier arithmetic of one of these rules."""
    changes = changed_since(version, rules)
    if changes:
        words = "; ".join(f"version {later} changed {', '.join(names)}" for later, names in changes.items())
        warnings.warn(
            f"the checkpoint was written under specification version {version}: {words}. The run goes on under version "
            f"{SPECIFICATION} and follows another trajectory; docs/versioning.md says what changed",
            SpecificationWarning,
            stacklevel=4,
        )


def decoded(data: bytes, deserialize: Callable[[bytes], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The tensors of a file."""
    try:
        return deserialize(data)
    except Exception as error:  # safetensors has an error type of its own
        raise CheckpointError(f"corrupt: the tensors cannot be read ({error})") from None


def is_count(value: Any) -> bool:
    """Whether a value of the metadata can be a number of steps."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def described(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The JSON about the optimizer, after a check of its form.

    Raises:
        CheckpointError: it does not have the form that this module writes.
    """
    try:
        optimizer = json.loads(metadata["optimizer"])
        count, parameters = optimizer["count"], optimizer["parameters"].items()
        for name, entry in [("count", {"step": count}), *parameters]:
            if not is_count(entry["step"]):
                raise ValueError(f"step or count of {name!r} is {entry['step']!r}")
        if not all(isinstance(e["rule"], str) and isinstance(e["hyperparameters"], dict) for _, e in parameters):
            raise ValueError("a rule or its hyperparameters have the wrong type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"the description of the optimizer is malformed: {type(error).__name__} {error}"
        ) from None
    return optimizer


def renamed(parameters: Mapping[str, Any], rename: Rename) -> dict[str, tuple[str, Any]]:
    """The saved parameters by their names here, each with its name there."""
    if not (rename is None or callable(rename) or isinstance(rename, Mapping)):
        raise TypeError(
            f"rename must be a mapping or a function from names in the file to names here, got {brief(rename)}"
        )
    new: Callable[[str], Any] = rename if callable(rename) else lambda name: dict(rename or {}).get(name, name)
    saved = {new(name): (name, description) for name, description in parameters.items()}
    if not all(isinstance(name, str) for name in saved):
        raise TypeError("rename must return a string for every name in the file: the same name if it does not change")
    if len(saved) < len(parameters):
        raise CheckpointError("rename gives two parameters the same name")
    return saved


def check_names(saved: Mapping[str, Any], live: Mapping[str, Any]) -> None:
    """Raise unless both have the same parameters."""
    if saved.keys() != live.keys():
        missing, extra = sorted(live.keys() - saved.keys()), sorted(saved.keys() - live.keys())
        raise CheckpointError(
            f"parameters differ: {missing} are not in the checkpoint, {extra} are only in the checkpoint"
        )


def by_parameter(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tensors of a file by parameter, whose name is escaped as in `tensor_name`, and field."""
    found: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        name, _, field = key.partition("/")
        found.setdefault(name, {})[field] = tensor
    return found


def restored(
    name: str, saved_name: str, saved: Mapping[str, Any], live: Entry, tensors: Mapping[str, Mapping[str, Any]]
) -> Entry:
    """One parameter's entry, after a check of every part against the live one."""
    own = description(live)
    if saved["rule"] != own["rule"]:
        raise CheckpointError(f"{name!r} was optimised by {saved['rule']}, but here it is optimised by {own['rule']}")
    compare_hyperparameters(name, saved["hyperparameters"], own["hyperparameters"], live.rule)
    found = tensors.get(tensor_name(saved_name, "").removesuffix("/"), {})
    if found.keys() != live.fields.keys():
        raise CheckpointError(
            f"the state of {name!r} has the fields {sorted(found)}, but here it has {sorted(live.fields)}"
        )
    fields = {field: checked(f"{field} of {name!r}", found[field], expected) for field, expected in live.fields.items()}
    return Entry(live.rule, live.layout, saved["step"], fields)


def compare_hyperparameters(name: str, saved: Mapping[str, Any], own: Mapping[str, Any], rule: Rule) -> None:
    """Refuse structural differences; warn of numeric ones."""
    kinds = hyperparameters(rule)
    differing = {key for key in kinds if saved.get(key) != own[key]}
    structural = sorted(key for key in differing if not kinds[key].numeric)
    if structural:
        words = ", ".join(f"{key} {saved.get(key)!r}, here {own[key]!r}" for key in structural)
        raise CheckpointError(f"{type(rule).__name__} of {name!r} was constructed differently: {words}")
    if differing:
        words = ", ".join(f"{key} {saved.get(key)!r}, here {own[key]!r}" for key in sorted(differing))
        warnings.warn(f"{type(rule).__name__} of {name!r} continues with other values: {words}", stacklevel=5)


def checked(what: str, saved: Any, live: Any) -> Any:
    """A saved tensor in the live one's dtype; it must have the same shape and be at most as wide."""
    if tuple(saved.shape) != tuple(live.shape):
        raise CheckpointError(f"{what} has shape {tuple(saved.shape)}, but here it has {tuple(live.shape)}")
    if saved.dtype.itemsize > live.dtype.itemsize:
        raise CheckpointError(f"{what} is {saved.dtype.name}, but here {live.dtype.name}: it would lose precision")
    return saved.astype(live.dtype)
