"""`python -m tests.fake_cupy check NAME` runs one of `checks.py`; `… kit [options]` runs the conformance kit."""

import sys
from pathlib import Path

from tests.fake_cupy import VERSION, install

ROOT = Path(__file__).parent.parent.parent


def main(command: str, *arguments: str) -> None:
    """Install the stand-in, then do as told."""
    sys.path[:0] = [str(ROOT / "backends"), str(ROOT / "conformance")]
    install()
    if command == "check":
        from tests.fake_cupy import checks

        getattr(checks, arguments[0])()
        return
    print(f"SIMULATED: NumPy stands in for CuPy {VERSION}; no GPU code is run", flush=True)
    from deva_conformance.__main__ import app

    app(["tests.fake_cupy.subject:start", *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
