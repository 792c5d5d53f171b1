"""The loop on virtual time, with the real fleet and drivers that only write down what they are asked."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drivers.base import Ability, Applied, DevicePort, DriverKind, FallbackBy, Links, Proof, Sample
from gateway.core.model import Instruction, Kind, Plan, Scope, Snapshot, Step
from gateway.daemon.config import Device, parse
from gateway.daemon.fleet import Fleet
from gateway.daemon.home import Home
from gateway.daemon.limits import limits_of
from gateway.daemon.loop import Loop
from gateway.daemon.sections import Section
from tests.faults.virtual_clock import virtual, virtual_clock

CONFIG = """
[site]
id = "home-1"
zone = "Europe/London"
[devices.hp]
driver = "scripted"
[devices.room]
driver = "silent"
[asset.heat]
class = "heat"
control = "hp"
nominal_w = 2400
power_w = ["hp.power_w"]
room_c = ["room.room_c"]
"""


class NoSettings(Section):
    """Nothing to set."""


@dataclass
class Pump:
    """A driver that publishes a power each second and notes what it is asked, and when."""

    asked: list[tuple[float, int | None]] = field(default_factory=list)
    raised: list[tuple[float, bool]] = field(default_factory=list)
    port: DevicePort | None = None

    async def run(self, port: DevicePort) -> None:
        self.port = port
        port.publish({"power_w": Sample(2000)})
        while True:
            want = await port.changed()
            self.asked.append((port.monotonic(), want.at_most_w))
            self.raised.append((port.monotonic(), want.raised))
            port.applied(Applied(want, Proof.READ_BACK))


class Silent:
    """A driver that never has a value."""

    async def run(self, _port: DevicePort) -> None:
        await asyncio.Event().wait()


class Room:
    """A driver that has a value at once."""

    async def run(self, port: DevicePort) -> None:
        while True:
            port.publish({"room_c": Sample(20.5)})
            await asyncio.sleep(60)


class NoFacts:
    def get(self, _key: str) -> None:
        return None

    async def put(self, _key: str, _value: object, *, durable: bool = False) -> None:
        del durable


def kind(lease_s: float) -> DriverKind:
    ability = Ability(levels_w=(0,), raises=True, lease_s=lease_s, fallback=FallbackBy.KEEP_ALIVE)
    return DriverKind(NoSettings, lambda _s, _l: Pump(), lambda _s: ability)


@dataclass
class Rig:
    """A loop at work."""

    home: Home
    loop: Loop
    fleet: Fleet
    pump: Pump
    plans: list[tuple[float, Plan]]
    instructions: tuple[Instruction, ...] = ()


@asynccontextmanager
async def rig(
    lease_s: float = 120, room: type = Room, pump: Pump | None = None, said: str = ""
) -> AsyncIterator[Rig]:
    clock, pump = virtual_clock(), pump or Pump()
    config = parse(CONFIG + said, lambda _name: kind(lease_s), Path())
    home, plans = Home(config, clock.monotonic_s), []
    home.limits = limits_of(config, clock.utc_s()) if said else {}
    drivers = {"hp": pump, "room": room()}

    def open_driver(device: Device, _links: Links) -> object:
        return drivers[device.name]

    def decided(snapshot: Snapshot, plan: Plan) -> None:
        plans.append((snapshot.now_s, plan))

    async with Fleet(open_driver, lambda _name: NoFacts(), home, clock) as fleet:  # type: ignore[arg-type]
        made = Rig(home, None, fleet, pump, plans)  # type: ignore[arg-type]
        made.loop = Loop(home, fleet, clock, lambda: made.instructions, decided)
        home.wake = made.loop.wake
        await fleet.reconcile(config.devices)
        running = asyncio.create_task(made.loop.run())
        try:
            yield made
        finally:
            running.cancel()


def block(in_s: float = -60.0) -> Instruction:
    utc_s = 1_800_000_000.0
    step = Step(utc_s + in_s, utc_s + 86_400, Kind.CAP, 0)
    return Instruction("i", 0, "bm", "response", 5, utc_s, Scope(("asset:heat",), ("heat",)), (step,))


@virtual
async def test_a_lease_is_renewed_at_two_thirds_while_a_limit_is_in_force_and_not_after() -> None:
    async with rig(lease_s=120) as at_work:
        at_work.instructions = (block(),)
        await asyncio.sleep(400)
        at_work.instructions = ()
        await asyncio.sleep(400)
    held = [at_s for at_s, watts in at_work.pump.asked if watts == 0]
    gaps = [later - earlier for earlier, later in itertools.pairwise(held)]
    assert len(held) == 5
    assert all(80 <= gap <= 82 for gap in gaps)
    assert [watts for _, watts in at_work.pump.asked][-1] is None
    assert [watts for at_s, watts in at_work.pump.asked if at_s > 402] == []


@virtual
async def test_what_is_raised_is_asked_so_renewed_at_two_thirds_and_held_when_its_time_has_come() -> None:
    async with rig(said="comfort.preheat = { kelvin = 1, hours = 0.5 }") as at_work:
        at_work.instructions = (block(in_s=2400.0),)
        await asyncio.sleep(2500)
    raised = [at_s for at_s, is_so in at_work.pump.raised if is_so]
    gaps = [later - earlier for earlier, later in itertools.pairwise(raised)]
    assert 600 <= raised[0] <= 602
    assert 2300 <= raised[-1] <= 2400
    assert all(80 <= gap <= 82 for gap in gaps)
    assert at_work.home.plan.setpoints[0].at_most_w == at_work.pump.asked[-1][1] == 0
    assert at_work.home.holds("hp", 0)
    assert not at_work.home.holds("hp", None, raised=True)


@virtual
async def test_what_can_be_raised_is_not_where_the_household_has_not_switched_that_on() -> None:
    async with rig() as at_work:
        at_work.instructions = (block(in_s=2400.0),)
        await asyncio.sleep(2300)
    assert at_work.pump.raised == [(at_work.pump.raised[0][0], False)]
    assert not at_work.home.config.assets[0].ability.raises


@virtual
async def test_a_device_that_keeps_a_setting_for_ever_is_still_renewed_each_ten_minutes() -> None:
    async with rig(lease_s=math.inf) as at_work:
        at_work.instructions = (block(),)
        await asyncio.sleep(1300)
    held = [at_s for at_s, watts in at_work.pump.asked if watts == 0]
    assert [round(at_s / 600) for at_s in held] == [0, 1, 2]


@virtual
async def test_a_decision_that_stays_the_same_writes_nothing() -> None:
    async with rig() as at_work:
        await asyncio.sleep(3600)
        assert [watts for _, watts in at_work.pump.asked] == [None]
        assert len(at_work.plans) >= 3600


@virtual
async def test_waking_acts_at_once_and_a_flood_of_wakes_is_one_turn_in_fifty_milliseconds() -> None:
    async with rig() as at_work:
        await asyncio.sleep(10.5)
        before = len(at_work.plans)
        at_work.instructions = (block(),)
        at_work.loop.wake()
        await asyncio.sleep(0.001)
        assert len(at_work.plans) == before + 1
        for _ in range(100):
            at_work.loop.wake()
        await asyncio.sleep(0.04)
        assert len(at_work.plans) == before + 1
        await asyncio.sleep(0.02)
        assert len(at_work.plans) == before + 2
        assert at_work.pump.asked[-1][1] == 0


@virtual
async def test_a_device_is_left_as_it_is_until_each_source_has_spoken_or_had_its_time() -> None:
    async with rig(room=Silent) as at_work:
        at_work.instructions = (block(),)
        await asyncio.sleep(14)
        assert at_work.pump.asked == []
        await asyncio.sleep(3)
        assert [watts for _, watts in at_work.pump.asked] == [0]  # no room minimum is configured


@virtual
async def test_a_point_beyond_its_dead_band_wakes_the_loop_and_a_small_change_does_not() -> None:
    async with rig() as at_work:
        await asyncio.sleep(5.5)
        before = len(at_work.plans)
        port = at_work.pump.port
        assert port
        port.publish({"power_w": Sample(2050)})
        await asyncio.sleep(0.01)
        assert len(at_work.plans) == before
        port.publish({"power_w": Sample(2300)})
        await asyncio.sleep(0.01)
        assert len(at_work.plans) == before + 1


@virtual
async def test_what_an_act_decided_is_told_as_it_was_seen() -> None:
    async with rig() as at_work:
        await asyncio.sleep(10.5)
        acted_s, before = at_work.plans[-1][0] + 0.5, len(at_work.plans)
        at_work.instructions = (block(),)
        at_work.loop.act()
        assert len(at_work.plans) == before
        await asyncio.sleep(0.06)
        told = [(round(at_s - acted_s, 2), plan) for at_s, plan in at_work.plans[before:]]
    assert [at_s for at_s, _ in told] == [0.0, 0.05]
    assert all((s := plan.setpoint("heat")) and s.at_most_w == 0 for _, plan in told)


@dataclass
class Deaf(Pump):
    """A pump that refuses what it is asked, until it is willing."""

    willing: bool = False

    async def run(self, port: DevicePort) -> None:
        port.publish({"power_w": Sample(2000)})
        while True:
            want = await port.changed()
            self.asked.append((port.monotonic(), want.at_most_w))
            if self.willing:
                port.applied(Applied(want, Proof.READ_BACK))
            else:
                port.refused(want, "not now")


@virtual
async def test_what_no_proof_came_for_is_asked_again_ever_more_rarely_also_a_release() -> None:
    deaf = Deaf()
    async with rig(pump=deaf) as at_work:
        await asyncio.sleep(600)
        times = [at_s for at_s, watts in deaf.asked if watts is None]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert [round(gap / 30) for gap in gaps] == [1, 2, 4, 8]
        deaf.willing = True
        await asyncio.sleep(1000)
        asked = len(deaf.asked)
        await asyncio.sleep(3600)
        assert len(deaf.asked) == asked
        assert at_work.home.holds("hp", None)
