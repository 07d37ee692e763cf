"""Doctests of this folder need CuPy to be importable; where it is not, nothing here is collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("cupy") else ["*.py"]
