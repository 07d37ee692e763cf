"""Says in one line what to install where a package that the kit needs is missing. Imports nothing but the standard library."""

import sys
from importlib.util import find_spec

LIBRARY = ("array_api_compat", "hypothesis", "numpy", "safetensors")
COMMANDS = ("rich", "typer")
PIP = "pip install 'deva-optim[conformance]'"


def check() -> None:
    """Every module of the kit is imported after this.

    Raises:
        ModuleNotFoundError: with the command that installs what is missing. SystemExit: likewise, under `python -m`, which
            would print a traceback instead; its words go to stderr.
    """
    command = sys.argv[0] == "-m"  # so it is while Python still looks for the module to run
    missing = [name for name in (*LIBRARY, *(COMMANDS if command else ())) if find_spec(name) is None]
    if not missing:
        return
    words = f"deva_conformance needs {', '.join(missing)}: {PIP}"
    if command:
        print(f"COULD NOT RUN {words}", file=sys.stderr)
        raise SystemExit(2)
    raise ModuleNotFoundError(words, name=missing[0])


check()
