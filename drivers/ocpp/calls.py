"""Our calls to one charger, with its deadline, and the words of its answers."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.ocpp.connection import Connection
from drivers.ocpp.field import word
from drivers.ocpp.rpc import Build, Payload
from drivers.ocpp.v16 import Message

NO_SUCH_CALL = {"NotImplemented", "NotSupported"}


@dataclass(frozen=True, slots=True)
class Calls:
    """What we ask over one connection; see `Connection.call` for what is raised."""

    connection: Connection
    timeout_s: float

    async def ask(self, message: Message) -> Payload:
        """Ask now, in our turn."""
        action, payload = message
        return await self.connection.call(action, lambda: payload, timeout_s=self.timeout_s)

    async def ask_first(self, action: str, build: Build, key: str) -> Payload:
        """Ask before all others, with what `build` makes when our turn has come."""
        return await self.connection.call(action, build, timeout_s=self.timeout_s, key=key, urgent=True)


def is_accepted(answer: Payload) -> bool:
    """Whether the charger said yes."""
    return word(answer.get("status")) in ("Accepted", "RebootRequired")
