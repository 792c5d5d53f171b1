"""The house's arrows: which package may import which. The table is the test."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# room -> what of ours it may import; a room is the longest prefix of a module's path.
ALLOWED = {
    "gateway.core": ("gateway.core",),
    "gateway.wire": ("gateway.wire", "gateway.core.model"),
    "gateway.aggregator": ("gateway.aggregator", "gateway.wire"),
    "gateway.contract": ("gateway.contract", "gateway.wire", "gateway.core.model"),
    "gateway.daemon": ("gateway.daemon", "gateway.core", "gateway.wire", "drivers.base"),
    "gateway.console": ("gateway.console", "gateway.core"),
    "gateway.answers": (
        "gateway.core",
        "gateway.daemon",
        "gateway.console",
        "gateway.cars",
        "gateway.charge_sessions",
        "gateway.consent",
        "gateway.evidence",
        "gateway.keys",
        "gateway.record",
        "gateway.settled",
        "gateway.word",
    ),
    "gateway.cars": ("gateway.core", "gateway.console"),
    "gateway.charge_sessions": ("gateway.core", "gateway.console", "gateway.daemon", "gateway.local_time"),
    "gateway.record": ("gateway.console", "gateway.daemon", "gateway.local_time", "gateway.wire"),
    "gateway.settled": (
        "gateway.console",
        "gateway.daemon",
        "gateway.local_time",
        "gateway.record",
        "gateway.wire",
    ),
    "gateway.evidence": (
        "gateway.core",
        "gateway.console",
        "gateway.consent",
        "gateway.daemon",
        "gateway.local_time",
        "gateway.wire",
    ),
    "gateway.local_time": (),
    "gateway.consent": ("gateway.core", "gateway.console"),
    "gateway.keys": ("gateway.core", "gateway.console", "gateway.daemon.keys", "gateway.wire.keys"),
    "gateway.word": ("gateway.core", "gateway.console", "gateway.cars"),
    "gateway.app": ("gateway", "drivers"),
    "gateway.giving_back": ("gateway.daemon", "gateway.files", "drivers.base", "drivers.registry"),
    "gateway.files": ("gateway.daemon", "gateway.wire", "drivers.registry"),
    "gateway.cli": ("gateway.cli", "gateway.console", "gateway.daemon.config", "gateway.wire"),
    "gateway.demo.devices": ("gateway.demo.devices",),
    "gateway.demo": ("gateway.demo", "gateway.wire", "gateway.aggregator", "gateway.console.svg"),
    "gateway.__main__": ("gateway.cli",),
    "drivers.base": ("gateway.core.model",),
    "drivers.profile": ("drivers.base",),
    "drivers.registry": ("drivers.base",),
    "drivers.secret": ("drivers.base",),
    "drivers.cancellation": (),
    "drivers.modbus": ("drivers.modbus", "drivers.base", "drivers.profile", "drivers.cancellation"),
    "drivers.han": ("drivers.han", "drivers.base", "drivers.profile"),
    "drivers.mqtt_local": ("drivers.mqtt_local", "drivers.base", "drivers.profile", "drivers.cancellation"),
    "drivers.ocpp": ("drivers.ocpp", "drivers.base", "drivers.profile", "drivers.secret"),
    "drivers.plugs": ("drivers.plugs", "drivers.base", "drivers.profile", "drivers.secret"),
}
FORBIDDEN_IN_APP = ("gateway.cli", "gateway.demo", "gateway.aggregator", "gateway.contract")
# Inside a function body (or for the type checker) only: commands that start something heavy.
LAZY = {
    "gateway.cli": (
        "gateway.app",
        "gateway.files",
        "gateway.giving_back",
        "gateway.demo",
        "gateway.aggregator",
    )
}


def _modules() -> list[Path]:
    return [p for top in ("gateway", "drivers") for p in sorted((ROOT / top).rglob("*.py"))]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _packages(path: Path) -> frozenset[str]:
    """What is imported, by its first name."""
    names = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return frozenset(name.split(".")[0] for name in names)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str | None:
    rooms = [room for room in ALLOWED if module == room or module.startswith(room + ".")]
    return max(rooms, key=len, default=None)


def _within(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == p or module.startswith(p + ".") for p in prefixes)


def _imports(tree: ast.Module) -> list[tuple[str, bool]]:
    """(module, loaded later) of everything of ours that is imported; relative imports count as ours.

    Later, if ever, is loaded what stands inside a function or under `if TYPE_CHECKING`.
    """
    inside = {
        id(node)
        for later in ast.walk(tree)
        if isinstance(later, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(later, ast.If) and ast.unparse(later.test) == "TYPE_CHECKING")
        for node in ast.walk(later)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" for alias in node.names]
            found += [
                (n if (ROOT / (n.replace(".", "/") + ".py")).exists() else base, id(node) in inside)
                for n in names
            ]
    return [(m, lazy) for m, lazy in found if m.startswith((".", "gateway", "drivers"))]


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    module = _name(path)
    room = _room(module)
    if room is None:
        assert not _imports(_tree(path)), f"{module} has no room in the table"
        return
    for imported, lazy in _imports(_tree(path)):
        if room == "gateway.app":
            assert not _within(imported, FORBIDDEN_IN_APP), f"{module} imports {imported}"
        if lazy and _within(imported, LAZY.get(room, ())):
            continue
        assert _within(imported, ALLOWED[room]), f"{module} imports {imported}, which {room} may not"


STDLIB_ONLY = ("gateway.core",)


@pytest.mark.parametrize("path", [p for p in _modules() if _within(_name(p), STDLIB_ONLY)], ids=_name)
def test_the_core_knows_no_library_no_clock_and_no_socket(path: Path) -> None:
    pure = {
        "__future__", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "heapq",
        "itertools", "math", "operator", "types", "typing", "gateway",
    }  # fmt: skip
    assert _packages(path) <= pure, f"{_name(path)} imports {_packages(path) - pure}"
    for node in ast.walk(_tree(path)):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{_name(path)} is async"
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today"}, f"{_name(path)} reads a clock"


@pytest.mark.parametrize(
    "library",
    ["aiomqtt", "pymodbus", "joserfc", "sqlite3", "typer", "iotcore", "h11", "websockets", "ocpp"],
)
def test_a_library_is_imported_in_few_named_places(library: str) -> None:
    places = {
        "aiomqtt": {
            "gateway.daemon.uplink",
            "drivers.mqtt_local",
            "gateway.demo.aggregator",
            "gateway.aggregator.broker",
        },
        "pymodbus": {"drivers.modbus"},
        "joserfc": {"gateway.wire"},
        "sqlite3": {"gateway.daemon.store", "gateway.daemon.database", "gateway.daemon.table"},
        "typer": {"gateway.cli"},
        "iotcore": {"gateway.demo"},
        "h11": {"drivers.plugs"},
        "websockets": {"drivers.ocpp", "gateway.demo.devices"},
        "ocpp": {"drivers.ocpp.v16", "drivers.ocpp.v201", "drivers.ocpp.wording"},
    }[library]
    for path in _modules():
        if library in _packages(path):
            assert _within(_name(path), tuple(places)), f"{_name(path)} imports {library}"
