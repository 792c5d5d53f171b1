"""Chargers that call us over OCPP: a port that stays open, and a conversation for each connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from drivers.base import DevicePort, DriverKind, Links, Unreachable
from drivers.ocpp.connection import NoAnswer
from drivers.ocpp.learned import Learned
from drivers.ocpp.link import Link, Seat
from drivers.ocpp.pace import Pace
from drivers.ocpp.settings import Settings, ability
from drivers.ocpp.version import version_of
from drivers.secret import secret_in

POINTS = frozenset({"power_w", "import_ws", "soc", "connected", "charging"})


@dataclass
class Ocpp:
    """One charger on one port. What was learned of it outlives its connections."""

    settings: Settings
    links: Links
    pace: Pace = field(default_factory=Pace)
    learned: Learned = field(default_factory=Learned)

    async def run(self, port: DevicePort) -> None:
        """Serve the charger until cancelled; see `Driver.run`.

        The port stays open while the charger is away: it comes back when it likes.
        """
        settings = self.settings
        password = secret_in(settings.password_file) if settings.password_file else None
        endpoint = ("ocpp", settings.listen, settings.port)
        async with self.links.use(endpoint, lambda: Link(settings.listen, settings.port)) as link:
            with link.seat(settings.charge_point, password, f"ocpp{settings.version}") as seat:
                patience_s = self.pace.first_contact_s
                while True:
                    await self._converse(link, seat, port, patience_s)
                    patience_s = self.pace.reconnect_s

    async def _converse(self, link: Link, seat: Seat, port: DevicePort, patience_s: float) -> None:
        why = seat.connection.why if seat.connection else ""
        try:
            async with asyncio.timeout(patience_s):
                connection = await seat.taken()
        except TimeoutError:
            raise Unreachable(self._missing(link, why)) from None
        # Loaded when a charger first comes.
        from drivers.ocpp.session import Conversation

        try:
            version = version_of(connection.subprotocol)
            await Conversation(self.settings, port, connection, self.learned, self.pace, version).run()
        except NoAnswer:
            if not connection.ended:
                raise
            await connection.over()
        if connection.stuck:
            raise Unreachable(f"the charger does not answer: {connection.why}")

    def _missing(self, link: Link, why: str) -> str:
        name = self.settings.charge_point or "any name"
        if why:
            return f"the charger is away: {why}"
        hint = f"; turned away: {link.turned_away}" if link.turned_away else ""
        return f"no charger came as {name} to port {self.settings.port}; it calls ws://HUB:PORT/NAME{hint}"


def _open(settings: Settings, links: Links) -> Ocpp:
    return Ocpp(settings, links)


def _points(_settings: Settings) -> frozenset[str]:
    return POINTS


KIND = DriverKind(settings=Settings, open=_open, ability=ability, points=_points)
