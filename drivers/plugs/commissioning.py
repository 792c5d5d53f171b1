"""Whether a plug would bring its load back without us: looked at, told, and set right where allowed.

Its own timer is in its memory only: after a power cut `initial_state` decides, and after an off that was
not ours `auto_on` does. Without both no off is sent.
"""

from __future__ import annotations

from drivers.base import DeviceEvent, DevicePort, JsonValue, Refused
from drivers.plugs.rpc import JsonObject, Rpc
from drivers.plugs.settings import Settings
from drivers.plugs.status import flaws_of

KIND = "commissioning"


class Commissioning:
    """One plug's, over all its connections: what was told once is told again when it changes."""

    def __init__(self, settings: Settings) -> None:
        self._switch = settings.switch
        self._longest_off_s = settings.longest_off_s
        self._lease_s = settings.lease_s
        self._may_write = settings.set_up
        self._told = ""

    async def fault(self, rpc: Rpc, port: DevicePort) -> str:
        """What is wrong with the plug's configuration and what would be right; empty if nothing is."""
        flaws = await self._flaws(rpc)
        if flaws and self._may_write:
            await self._set_right(rpc, port, {key: right for key, (right, _) in flaws.items()})
            flaws = await self._flaws(rpc)
            self._may_write = not flaws  # what it does not keep is not written again: its memory wears
        words = "; ".join(word for _, word in flaws.values())
        self._tell(port, words)
        return words

    async def _flaws(self, rpc: Rpc) -> dict[str, tuple[JsonValue, str]]:
        config = await rpc.call("Switch.GetConfig", {"id": self._switch})
        return flaws_of(config, self._longest_off_s, self._lease_s)

    async def _set_right(self, rpc: Rpc, port: DevicePort, changes: JsonObject) -> None:
        try:
            await rpc.call("Switch.SetConfig", {"id": self._switch, "config": dict(changes)})
        except Refused as error:
            port.report(DeviceEvent(KIND, f"the plug was not set up: {error}", "warning"))
        else:
            words = ", ".join(f"{key} = {value}" for key, value in changes.items())
            port.report(DeviceEvent(KIND, f"the plug was set up: {words}"))

    def _tell(self, port: DevicePort, words: str) -> None:
        if words == self._told:
            return
        self._told = words
        if words:
            text = f"the plug is not switched off before this is right in its settings: {words}"
            port.report(DeviceEvent(KIND, text, "alarm"))
        else:
            port.report(DeviceEvent(KIND, "the plug comes back by itself: its settings are right"))
