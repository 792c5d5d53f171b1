"""Devices go back to their owner: at a stop, when a reload drops them, or by hand without a daemon."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from pathlib import Path

from drivers import registry
from drivers.base import Driver, Links
from gateway.daemon.alone import NotAlone, alone
from gateway.daemon.clock import Clock
from gateway.daemon.config import Config, ConfigError, Device
from gateway.daemon.facts import StoredFacts
from gateway.daemon.fleet import Fleet
from gateway.daemon.home import Home
from gateway.daemon.store import Store
from gateway.files import DATABASE, read

GIVE_BACK_S = 10.0  # how long a stop or a reload tries to reach a device
BY_HAND_S = 60.0  # and a person with `release`: a charger calls us, half a minute after it lost us
GIVE_BACK_LOOK_S, GIVE_BACK_ASK_EACH = 0.05, 50


def release(config_file: Path, asset: str | None) -> dict[str, str]:
    """Give devices back to their owner without a daemon: each control device is told so, once."""
    try:
        config = read(config_file)
    except (ConfigError, OSError) as error:
        return {"error": str(error)}
    controls = [a.control for a in config.assets if a.control and asset in (None, a.id)]
    if not controls:
        return {"error": f"no asset {asset or ''} that can be held"}
    try:
        with alone(config.paths.state):
            missed = asyncio.run(_release(config, controls))
    except (NotAlone, OSError) as error:
        return {"error": str(error)}
    if missed:
        words = "; ".join(_left(config.devices[name]) for name in missed)
        return {"error": f"not reached within {BY_HAND_S:.0f} s, so not given back: {words}"}
    return {"done": f"given back: {', '.join(controls)}"}


def open_driver(device: Device, links: Links) -> Driver:
    """The driver of a configured device."""
    return registry.kind(device.driver).open(device.settings, links)


def _left(device: Device) -> str:
    """What becomes of a device that was not reached."""
    lease_s = device.ability.lease_s
    if math.isinf(lease_s):
        return f"{device.name}, which keeps our last setting until it is"
    return f"{device.name}, which runs by its own control again within {lease_s:.0f} s"


async def give_back(
    fleet: Fleet, home: Home, controls: Iterable[str], within_s: float = GIVE_BACK_S
) -> list[str]:
    """Ask devices to be their owner's until they say so; the ones that did not in time."""
    waiting = list(controls)
    for device in waiting:
        home.evidence.pop(device, None)
    for look in range(int(within_s / GIVE_BACK_LOOK_S)):
        waiting = [device for device in waiting if not home.holds(device, None)]
        if not waiting:
            break
        if look % GIVE_BACK_ASK_EACH == 0:
            for device in waiting:
                fleet.want(device, None)
        await asyncio.sleep(GIVE_BACK_LOOK_S)
    return waiting


def held_by(config: Config) -> set[str]:
    """The devices that a configuration lets us hold."""
    return {asset.control for asset in config.assets if asset.control and asset.ability.holds}


async def _release(config: Config, controls: list[str]) -> list[str]:
    async with Store.open(config.paths.state / DATABASE) as store:
        clock = Clock()
        home = Home(config, clock.monotonic_s)
        async with Fleet(open_driver, StoredFacts(store).of, home, clock) as fleet:
            await fleet.reconcile({name: config.devices[name] for name in controls})
            return await give_back(fleet, home, controls, BY_HAND_S)
