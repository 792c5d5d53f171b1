"""A home with one car, in short words, for the tests of its charge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Charge,
    Deadline,
    Instruction,
    Kind,
    Limits,
    Mark,
    Memory,
    Plan,
    Reading,
    Scope,
    Snapshot,
    Step,
)  # fmt: skip

UTC, NOW, KWH = 1_800_000_000.0, 100_000.0, 3_600_000
EV = Asset(
    "ev",
    AssetClass.EV,
    7360,
    Ability((0,), (1380, 7360), 23, raises=True, lease_s=900),
    sources={"soc": ("charger.soc", "typed")},
)
MORNING = Deadline(UTC + 10 * 3600, "07:00 local")
NEXT_DAY = Deadline(UTC + 34 * 3600, "07:00 local")
CHARGE = Charge(60 * KWH, 0.2, 0.8, 0.9, 20 * KWH, 0.9, (MORNING, NEXT_DAY))
PLUGGED = AssetMemory(plugged=Mark(NOW - 3600, 100 * KWH, "charger.import_ws"), took_w=7360)


def reading(value: float, age_s: float = 0.0, source: str = "charger.soc") -> Reading:
    return Reading(value, age_s, source)


def state(
    soc: float | None = 0.5, *, there: bool | None = True, register: int | None = 100 * KWH
) -> AssetState:
    return AssetState(
        power_w=reading(0.0),
        online=True,
        soc=None if soc is None else reading(soc),
        connected=None if there is None else reading(float(there)),
        import_ws=None if register is None else reading(register, source="charger.import_ws"),
    )


def cap(power_w: int = 0, *, kind: Kind = Kind.CAP, end: float = UTC + 36 * 3600) -> Instruction:
    scope = Scope(("asset:ev",), ("ev",))
    steps = (Step(UTC - 60, end, kind, power_w),)
    return Instruction("i1", 0, "bm", "response", 5, UTC - 100, scope, steps)


def home(**more: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "assets": (EV,),
        "states": {"ev": more.pop("state", state())},
        "limits": {"ev": Limits(charge=more.pop("charge", CHARGE))},
        "memory": Memory(NOW - 1, {"ev": more.pop("was", PLUGGED)}),
        "instructions": (cap(),),
        **more,
    }
    return Snapshot(NOW, fields.pop("utc_s", UTC), fields.pop("clock_trusted", True), **fields)


def later(snapshot: Snapshot, after_s: float, **more: Any) -> Snapshot:
    """The moment after, remembering what was decided; the charger is seen all the while."""
    memory, now_s = remember(snapshot, decide(snapshot)), snapshot.now_s + after_s
    memory = replace(memory, assets={"ev": replace(memory.of("ev"), told_s=now_s)})
    moment = {"now_s": now_s, "utc_s": snapshot.utc_s + after_s, "memory": memory}
    return replace(snapshot, **moment, **more)


def held(plan: Plan) -> int | None:
    found = plan.setpoint("ev")
    assert found
    return found.at_most_w
