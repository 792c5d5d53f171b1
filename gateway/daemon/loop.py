"""The loop: gather, bind, decide, remember, apply. The only caller of `decide`.

Level-triggered: each second, and soon after an instruction or a point that matters. It writes
differences and renews leases; dropping, delaying or repeating a plan is harmless.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace

from gateway.core.decide import decide
from gateway.core.memory import remember
from gateway.core.model import Asset, Instruction, Memory, Plan, Setpoint, Snapshot
from gateway.daemon.clock import Clock
from gateway.daemon.fleet import Fleet
from gateway.daemon.home import Home

TURN_S = 1.0
COALESCE_S = 0.05  # turns asked for in between are one
LEASE_MAX_S = 900.0
RENEW_AT = 2 / 3  # of a lease
REPEAT_FIRST_S, REPEAT_MOST_S = 30.0, 900.0  # a want that no proof came for is asked again, ever more rarely


class Loop:
    """Turns snapshots into plans and plans into wants."""

    def __init__(
        self,
        home: Home,
        fleet: Fleet,
        clock: Clock,
        instructions: Callable[[], tuple[Instruction, ...]],
        decided: Callable[[Snapshot, Plan], None],
    ) -> None:
        self._home = home
        self._fleet = fleet
        self._clock = clock
        self._instructions = instructions
        self._decided = decided
        self._asked_s: dict[str, float] = {}  # by device: when it was last asked
        self._repeat_s: dict[str, float] = {}  # and how long it has to prove that it follows
        self._began_s = -COALESCE_S
        self._soon: asyncio.TimerHandle | None = None
        self._stopped = False
        self._acted: tuple[Snapshot, Plan] | None = None  # what `act` decided and nobody was told yet
        self.turned_s = -math.inf  # when the last turn completed, for the watchdog

    async def run(self) -> None:
        """Turn each second until cancelled."""
        while True:
            self.turn()
            await asyncio.sleep(TURN_S)

    def wake(self) -> None:
        """Turn as soon as the last turn is old enough; never inside the caller, which may be a driver."""
        if self._soon is None:
            wait_s = self._began_s + COALESCE_S - self._clock.monotonic_s()
            self._soon = asyncio.get_running_loop().call_later(max(0.0, wait_s), self.turn)

    def stop(self) -> None:
        """Decide no more: what devices are asked from now on is for whoever gives them back."""
        self._stopped = True

    def act(self) -> None:
        """Decide and ask the devices, now; what else follows from a decision comes with a turn soon after."""
        self._acted = self._decide()
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(COALESCE_S, self.turn)

    def turn(self) -> None:
        """One decision, applied and told; after `stop` the last one stands."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._acted and not self._stopped:
            self._decided(*self._acted)  # as it was seen before the devices followed
        self._acted = None
        if decision := self._decide():
            self._decided(*decision)
            self.turned_s = self._clock.monotonic_s()

    def _decide(self) -> tuple[Snapshot, Plan] | None:
        if self._stopped:
            return None
        self._began_s = self._clock.monotonic_s()
        snapshot = self.snapshot()
        plan = decide(snapshot)
        self._home.memory, self._home.plan = self._remembered(snapshot, plan), plan
        self._apply(snapshot, plan)
        return snapshot, plan

    def _remembered(self, snapshot: Snapshot, plan: Plan) -> Memory:
        """The memory after a plan; what was not asked of a device is not remembered as done to it."""
        memory = remember(snapshot, plan)
        untouched = {a.id: snapshot.memory.of(a.id) for a in snapshot.assets if not self._home.settled(a)}
        return replace(memory, assets={**memory.assets, **untouched})

    def snapshot(self) -> Snapshot:
        """Everything a decision may know, now."""
        return self._home.snapshot(
            self._clock.utc_s(),
            trusted=self._clock.trusted,
            instructions=self._instructions(),
        )

    def _apply(self, snapshot: Snapshot, plan: Plan) -> None:
        for asset in snapshot.assets:
            setpoint = plan.setpoint(asset.id)
            if asset.control and asset.ability.holds and setpoint and self._home.settled(asset):
                self._ask(asset, asset.control, setpoint)

    def _ask(self, asset: Asset, device: str, setpoint: Setpoint) -> None:
        at_most_w, raised = setpoint.at_most_w, setpoint.raised
        now_s, want = self._clock.monotonic_s(), self._fleet.wanted(device)
        asked_s = now_s - self._asked_s.get(device, now_s)
        is_new = want is None or (want.at_most_w, want.raised) != (at_most_w, raised)
        is_proven = self._home.holds(device, at_most_w, raised=raised)
        if is_new or is_proven:
            self._repeat_s[device] = REPEAT_FIRST_S
        lease_s = min(asset.ability.lease_s, LEASE_MAX_S) if at_most_w is not None or raised else math.inf
        unproven = not is_proven and asked_s >= self._repeat_s[device]
        if is_new or unproven or asked_s >= lease_s * RENEW_AT:
            if unproven:
                self._repeat_s[device] = min(2 * self._repeat_s[device], REPEAT_MOST_S)
            self._asked_s[device] = now_s
            self._fleet.want(device, at_most_w, raised=raised)
