"""Our calls to one charger, in its version and with its deadlines, and the words of its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.ocpp.connection import Connection, Lost, NoAnswer
from drivers.ocpp.field import word
from drivers.ocpp.rpc import Build, Payload
from drivers.ocpp.version import Message, Version

NO_SUCH_CALL = {"NotImplemented", "NotSupported"}
QUESTION_SHARE = 0.1  # of the deadline: 3 s of 30, and more for a charger that is known to be slow


def question_s(timeout_s: float, least_s: float) -> float:
    """How long a limit waits for the answer to a question (s)."""
    return min(timeout_s, max(least_s, QUESTION_SHARE * timeout_s))


@dataclass(frozen=True, slots=True)
class Calls:
    """What we ask over one connection; see `Connection.call` for what is raised."""

    connection: Connection
    version: Version
    timeout_s: float
    question_s: float  # after it a limit that waits is sent
    unanswered: Callable[[str], None]  # told the name of a question that was not answered

    async def ask(self, message: Message, name: str = "", *, is_short: bool = False) -> Payload:
        """Ask now, in our turn. A limit waits for the answer only `question_s`.

        A short question, for which a limit's keeper waits itself, goes before others and ends then. One
        with a name that is not answered, by a charger that is still there, is noted by its name.
        """
        action, payload = message
        try:
            return await self.connection.call(
                action,
                lambda: payload,
                timeout_s=self.question_s if is_short else self.timeout_s,
                yields_after_s=self.question_s,
                urgent=is_short,
            )
        except Lost:
            raise
        except NoAnswer:
            if self.connection.ended:
                raise Lost(f"the connection ended: {self.connection.why}") from None
            if name:
                self.unanswered(name)
            raise

    def hang_up(self, why: str) -> None:
        """End the connection: some hear us again over a new one."""
        self.connection.end(why, stuck=True)

    async def ask_first(self, action: str, build: Build, key: str) -> Payload:
        """Ask before all others, with what `build` makes when our turn has come."""
        return await self.connection.call(action, build, timeout_s=self.timeout_s, key=key, urgent=True)


def is_accepted(answer: Payload) -> bool:
    """Whether the charger said yes."""
    return word(answer.get("status")) in ("Accepted", "RebootRequired")
