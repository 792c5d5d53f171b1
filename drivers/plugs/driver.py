"""Shelly plugs and relays of the second generation and newer: the driver itself."""

from __future__ import annotations

from drivers.base import DevicePort, DriverKind, Links
from drivers.plugs.commissioning import Commissioning
from drivers.plugs.http import Client
from drivers.plugs.rpc import Rpc
from drivers.plugs.session import Session
from drivers.plugs.settings import Settings, ability
from drivers.secret import secret_in

POINTS = frozenset({"power_w", "import_ws", "export_ws", "on"})


class Shelly:
    """One switch of one plug."""

    def __init__(self, settings: Settings, _links: Links) -> None:
        self._settings = settings
        self._commissioning = Commissioning(settings)

    async def run(self, port: DevicePort) -> None:
        """Talk to the plug until cancelled; see `Driver.run`."""
        settings = self._settings
        password = secret_in(settings.password_file) if settings.password_file else None
        async with Client(settings.host, settings.port, settings.timeout_s) as client:
            await Session(settings, self._commissioning, Rpc(client, password), port).run()


KIND = DriverKind(settings=Settings, open=Shelly, ability=ability, points=lambda _settings: POINTS)
