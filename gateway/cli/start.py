"""The command `homeflex`. `run` becomes the daemon without loading what only the other commands need.

Typer and Rich would stay in the daemon's memory for as long as it runs, and cost a quarter of a second
at its start.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from types import ModuleType

CONFIG = "/etc/homeflex/homeflex.toml"


def main() -> None:
    """Entry point."""
    if sys.argv[1:2] == ["run"] and "--help" not in sys.argv:
        sys.exit(_run(sys.argv[2:]))
    from gateway.cli.main import app

    app()


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="homeflex run", add_help=False)
    parser.add_argument("--config", "-c", type=Path, default=os.environ.get("HOMEFLEX_CONFIG", CONFIG))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    _leave_out()
    import gateway.app as daemon

    return daemon.run(Path(options.config), json_log=options.json)


class _Unused(ModuleType):
    """In the place of a library: whatever is taken from it has a name and nothing else."""

    def __getattr__(self, name: str) -> type[Exception]:
        return type(name, (Exception,), {})


def _leave_out() -> None:
    """What libraries of ours bring along for parts of them that the daemon does not use: 9 MB."""
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog's renderer for developers
    for name in ("jsonschema", "jsonschema.exceptions"):  # ocpp's validation, which is the tests'
        sys.modules[name] = _Unused(name)
