"""What a configuration says of phases and circuits must fit together: a tree of fuses behind the main one.

Only what is wrong, in words; the fuses themselves are the core's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.daemon.sections import File


def faults(file: File, unsound: set[str], drawn_from: Mapping[str, int]) -> Iterator[str]:
    """Every fault; `drawn_from`: of assets whose device says so, from how many phases it draws."""
    yield from _phases(file, drawn_from)
    yield from _names(file, unsound)
    yield from _tree(file)
    yield from _loads(file, drawn_from)


def _phases(file: File, drawn_from: Mapping[str, int]) -> Iterator[str]:
    """A home and each asset on as many phases as they can have, and on which where each has its meter."""
    by_phase = bool(file.boundary and file.boundary.by_phase)
    home = file.supply.phases if file.supply else None
    if by_phase and home != 3:
        yield "boundary.l1_w: is for three phases; supply.phases = 3 would be right, or remove it"
    for name, asset in file.asset.items():
        path, count = f"asset.{name}.phases", drawn_from.get(name)
        if asset.phases and home == 1:
            yield f"{path}: the home has one phase; supply.phases = 3 would be right, or remove it"
        if asset.phases and count and len(asset.phases) != count:
            right = '["L1", "L2", "L3"]' if count == 3 else '["L1"]'
            yield f"{path}: devices.{asset.control}.phases is {count}; phases = {right} would be right"
        if by_phase and home == 3 and asset.control and not (asset.phases or count == 3):
            yield f'{path}: is missing; phases = ["L1"] would be right, for the boundary tells of each phase'


def _names(file: File, unsound: set[str]) -> Iterator[str]:
    if file.circuit and not file.supply and "supply" not in unsound:
        yield "supply: is missing; circuits hang on the main fuse, [supply] with fuse_a = 60 would be right"
    named = {*file.circuit, *(path.removeprefix("circuit.") for path in unsound)}
    there_are = ", ".join(file.circuit) or "none"
    mentions = [(f"circuit.{name}.parent", circuit.parent) for name, circuit in file.circuit.items()]
    mentions += [(f"asset.{name}.circuit", asset.circuit) for name, asset in file.asset.items()]
    for path, said in mentions:
        if said is not None and said not in named:
            yield f"{path}: {said!r}: there is no circuit {said!r}; there are {there_are}"


def _tree(file: File) -> Iterator[str]:
    """Its root is the main fuse, and none has more phases than what is before it, or is trusted with more."""
    for name, circuit in file.circuit.items():
        path, before = f"circuit.{name}", file.circuit.get(circuit.parent or "") or file.supply
        if name in _above(file, name):
            yield f"{path}.parent: {circuit.parent!r} is itself behind {name}; one hangs on the main fuse"
        elif before and circuit.phases > before.phases:
            yield f"{path}.phases: {circuit.phases} of one phase before it; phases = 1 would be right"
        fuse_w = int(circuit.fuse_a * file.supply.volts * circuit.phases) if file.supply else None
        if fuse_w and (circuit.silent_meter_w or 0) > fuse_w:
            yield f"{path}.silent_meter_w: {circuit.silent_meter_w} is above the fuse's {fuse_w} W"


def _loads(file: File, drawn_from: Mapping[str, int]) -> Iterator[str]:
    for name, asset in file.asset.items():
        circuit = file.circuit.get(asset.circuit or "")
        if circuit and circuit.phases == 1 and (len(asset.phases) or drawn_from.get(name, 1)) > 1:
            path, right = f"asset.{name}.circuit", f"circuit.{asset.circuit}.phases = 3"
            yield f"{path}: {asset.circuit!r} has one phase; {right} would be right"


def _above(file: File, name: str) -> list[str]:
    """The circuits above a circuit, up to the main fuse or to one that was met before."""
    found: list[str] = []
    at = file.circuit[name].parent
    while at is not None and at in file.circuit and at not in found:
        found.append(at)
        at = file.circuit[at].parent
    return found
