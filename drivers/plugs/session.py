"""One plug on one connection: recognise it, read it, hold it off and give it back, until something fails.

The relay is never open without a timer in the plug that closes it again. Each want to hold it off checks the
plug's own settings, sends the off together with its timer, and reads both back; a renewal winds the timer up
again. If the read-back does not show the timer, the relay is closed at once and the want refused.

Whoever presses the plug's button, or uses its app, is at home. Switched on during our off, it stays on and is
told as taken back, which is the household's override; whether a new want holds it off again is a matter of
policy. What the household switched off is not touched: a hold finds it off, and when it comes on by itself
holds it from then on. Given back, it is switched on only if the off was ours, which its timer shows.
"""

from __future__ import annotations

from contextlib import suppress

from drivers.base import (
    TAKEN_BACK,
    Applied,
    DeviceEvent,
    DevicePort,
    DriverError,
    JsonValue,
    Proof,
    Refused,
    Want,
    WrongDevice,
    poll,
)
from drivers.plugs.commissioning import Commissioning
from drivers.plugs.rpc import JsonObject, Rpc
from drivers.plugs.settings import Settings, ability
from drivers.plugs.status import (
    Relay,
    identity_of,
    part_of,
    points_of,
    relay_of,
    switch_points,
    uptime_s,
)

_MAC = "mac"  # fact: the device that was met first
_ARMED = "armed_s"  # fact: the timer of our off (s); 0 once it ended
_TIMER_TOLERANCE_S = 1.0  # the plug's clock ticks in hundredths; seconds are what it is set in
_ENDED_BY = {"timer": "its timer ran out", "init": "the plug restarted"}


class Session:
    """The conversation from its first request on."""

    def __init__(self, settings: Settings, commissioning: Commissioning, rpc: Rpc, port: DevicePort) -> None:
        self._settings = settings
        self._commissioning = commissioning
        self._rpc = rpc
        self._port = port
        self._serial: int | None = None  # of the last want that was answered
        self._uptime_s: float | None = None
        self._is_checked = False  # the plug's settings, since it started
        self._is_left_off = False  # held as it is: somebody else had switched it off

    async def run(self) -> None:
        """Talk until an error.

        Raises:
            WrongDevice: another device answers than the one that was met under this name.
        """
        await self._recognise()
        await poll(self._port, self._settings.poll_s, self._poll, self._obey)

    # --- reading ------------------------------------------------------------------------------------

    async def _recognise(self) -> None:
        found = identity_of(await self._rpc.introduction())
        known = self._port.facts.get(_MAC)
        if known is None:
            await self._port.facts.put(_MAC, found.mac)
        elif known != found.mac:
            raise WrongDevice(
                f"another plug ({found.model}) answers than was met under this name; check `host`,"
                " or name the device anew if it was exchanged"
            )

    async def _poll(self) -> None:
        status = await self._rpc.call("Shelly.GetStatus", {})
        self._port.publish(points_of(status, self._settings.switch))
        switch = part_of(status, "switch", self._settings.switch)
        if switch is None:
            return
        since_s, self._uptime_s = self._uptime_s, uptime_s(status)
        restarted = since_s is not None and self._uptime_s is not None and self._uptime_s < since_s
        if restarted or not self._is_checked:
            await self._commissioning.fault(self._rpc, self._port)
            self._is_checked = True
        await self._watch(relay_of(switch))

    async def _watch(self, relay: Relay) -> None:
        """See whether our off still stands."""
        if not self._armed_s and not self._is_left_off:
            return
        if relay.on and self._is_left_off and relay.source in _ENDED_BY:
            self._serial, self._is_left_off = None, False  # now the hold is ours to keep
        elif relay.on:
            why = _ENDED_BY.get(relay.source)
            kind, why = ("local", why) if why else (TAKEN_BACK, f"switched on there ({relay.source})")
            self._port.report(DeviceEvent(kind, f"on again while held off: {why}"))
            self._is_left_off = False
            await self._note_armed(0)
        elif relay.timer_s is None and not self._is_left_off:
            await self._give_up("its timer is gone, so it was switched on")

    async def _give_up(self, why: str) -> None:
        """Close a relay whose timer is gone; the want that opened it is refused."""
        try:
            await self._close()
        except Refused as error:
            why = str(error)
        want = self._port.latest()
        if want and want.serial == self._serial:
            self._port.refused(want, why)

    async def _relay(self) -> Relay:
        switch = await self._rpc.call("Switch.GetStatus", {"id": self._settings.switch})
        self._port.publish(switch_points(switch))
        return relay_of(switch)

    # --- obeying ------------------------------------------------------------------------------------

    async def _obey(self) -> None:
        """Carry out the latest want, unless it was; a refusal is reported and the session goes on."""
        while (want := self._port.latest()) is not None and want.serial != self._serial:
            try:
                await self._carry_out(want)
            except Refused as error:
                self._port.refused(want, str(error))
            else:
                self._port.applied(Applied(want, Proof.READ_BACK))
            self._serial = want.serial

    async def _carry_out(self, want: Want) -> None:
        if want.at_most_w is None:
            await self._give_back()
        elif ability(self._settings).at_or_below(want.at_most_w) is None:
            raise Refused(f"cannot be held at {want.at_most_w} W; lowest is 0 W")
        else:
            await self._hold_off()

    async def _hold_off(self) -> None:
        self._is_left_off = False
        if fault := await self._commissioning.fault(self._rpc, self._port):
            raise Refused(f"the plug's own settings must be right first: {fault}")
        before, lease_s = await self._relay(), self._settings.lease_s
        if not before.on and not self._is_ours(before):
            self._is_left_off = True  # the household did that, and it comes back as the plug's settings say
            return
        await self._set({"on": False, "toggle_after": lease_s})
        await self._note_armed(lease_s)
        try:
            relay = await self._relay()
        except DriverError:
            with suppress(DriverError):
                await self._close()
            raise
        if relay.on and relay.source != before.source:
            await self._watch(relay)  # somebody was as quick as that
            raise Refused(f"on again at once ({relay.source})")
        if relay.on:
            await self._note_armed(0)
            raise Refused(f"the plug did not follow: it is on ({relay.source})")
        if relay.timer_s is None or not 0 < relay.timer_s <= lease_s + _TIMER_TOLERANCE_S:
            await self._close()
            raise Refused(f"the plug showed no timer of {lease_s} s, so it was switched on again")

    async def _give_back(self) -> None:
        self._is_left_off = False
        relay = await self._relay()
        if not relay.on and self._is_ours(relay):
            await self._close()
        await self._note_armed(0)

    async def _close(self) -> None:
        """Switch on, and see that it is.

        Raises:
            Refused: it stays off.
        """
        await self._set({"on": True})
        relay = await self._relay()
        if not relay.on:
            raise Refused(f"the plug did not follow: it stays off ({relay.source})")
        await self._note_armed(0)

    async def _set(self, params: JsonObject) -> None:
        await self._rpc.call("Switch.Set", {"id": self._settings.switch, **params})

    # --- what outlives a crash ------------------------------------------------------------------------

    @property
    def _armed_s(self) -> float:
        fact = self._port.facts.get(_ARMED)
        return fact if isinstance(fact, int | float) else 0.0

    async def _note_armed(self, seconds: JsonValue) -> None:
        if self._port.facts.get(_ARMED) != seconds:
            await self._port.facts.put(_ARMED, seconds)

    def _is_ours(self, relay: Relay) -> bool:
        """Whether an off is our doing: it has the timer that we send, or none where we sent one. The note
        of it may be lost, and `lease_s` may have changed since."""
        if relay.timer_s is None:
            return self._armed_s > 0
        ours = (self._settings.lease_s, self._armed_s)
        return any(abs(relay.timer_s - seconds) < _TIMER_TOLERANCE_S for seconds in ours)
