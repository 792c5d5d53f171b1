"""The seam between what is said and how a version of OCPP words it. A version is a module.

A connector's state and the reasons of an end are the words of 1.6, and so are the names of keys: one
version's words must be the common ones, and 1.6 has the most for a connector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from drivers.ocpp.keys import Keys
from drivers.ocpp.meter import Metered
from drivers.ocpp.profile import Profile, Purpose, SessionId, Unit
from drivers.ocpp.rpc import Payload

OCPP_16, OCPP_201 = "ocpp1.6", "ocpp2.0.1"  # as subprotocols of the WebSocket

Message = tuple[str, Payload]
"""Action and payload of a call."""


@dataclass(frozen=True, slots=True)
class SessionTold:
    """What a message says of a session to which the charger gave its id."""

    id: SessionId
    connector: int | None  # None: as it was told before
    socket: int | None  # of the connector, where it has several
    state: str  # of the connector; empty: not told
    begins: bool
    authorised: bool  # the message shows that somebody let the car charge
    stamp_s: float | None
    waited: bool  # for a connection
    asked_for: bool
    register_ws: int | None  # where the session begins with this message
    moments: tuple[Metered, ...]


class Charger(Protocol):
    """Who is told what a charger says, in words that no version owns."""

    volts: float
    phases: int

    def now_s(self) -> float:
        """UTC to set the charger's clock by."""

    def booted(self, vendor: str, model: str, firmware: str) -> None:
        """It started."""

    def told_status(self, connector: int, status: str, stamp_s: float | None) -> None:
        """It told the state of a connector (0: of all of it)."""

    def told_cable(self, connector: int, socket: int, stamp_s: float | None, *, plugged: bool) -> None:
        """It told whether a car is plugged in, and not whether a session runs."""

    def told_session(self, told: SessionTold) -> None:
        """A session goes on, or a car waits for one to which it gave an id already."""

    def started(
        self, connector: int, id_tag: str, register_ws: int | None, stamp_s: float | None, stamp_text: str
    ) -> int:
        """It began a session; the session's id."""

    def stopped(
        self,
        transaction: SessionId | None,
        register_ws: int | None,
        stamp_s: float | None,
        reason: str,
        *,
        state: str = "",
        waited: bool = False,
    ) -> None:
        """It ended a session. `state`: of the connector since then; `waited`: for a connection."""

    def told_meter(self, connector: int, transaction: SessionId | None, moments: Sequence[Metered]) -> None:
        """It told what its meter shows."""


class Version(Protocol):
    """What is heard and said in one version."""

    VIOLATION: str
    """The code for a call that is malformed."""
    KEY_QUESTIONS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]
    """Ways to ask for keys, best first: a name, and the keys of each call; of none: all."""
    LIMITS_STATION: bool
    """Whether a limit of all of the charger is worth a try where no other is taken."""
    READINGS: tuple[str, ...]
    """The messages that tell a reading when they are asked for, best first."""

    def answer_to(self, action: str, payload: Payload, charger: Charger, heartbeat_s: int) -> Payload | None:
        """Tell `charger` what a call says, and the answer to it; None: there is no such call.

        An odd field never makes it an error: a charger would repeat the message for ever.
        """

    def get_keys(self, keys: Sequence[str]) -> Message:
        """Ask for these keys, or for all of them where there are none."""

    def keys_in(self, answer: Payload) -> Keys:
        """The keys an answer tells."""

    def set_key(self, key: str, value: str) -> Message:
        """Set one key."""

    def set_status(self, answer: Payload) -> str:
        """How that was answered: `Accepted`, `RebootRequired`, `NotSupported` or anything else."""

    def trigger(self, requested: str, connector: int) -> Message:
        """Ask for a message that the charger sends by itself at other times."""

    def get_session(self, transaction: SessionId) -> Message | None:
        """Ask whether a session still runs; None: there is no such question."""

    def session_runs(self, answer: Payload) -> bool | None:
        """Whether it does; None: it is not told, or what ended it is still to come."""

    def start_session(self, connector: int, id_tag: str, profile: Profile | None) -> Message:
        """Begin a session, under a profile from its first second where the charger takes one."""

    def default_targets(self, connector: int) -> tuple[int, int]:
        """Where a default for any session is laid, best first; 0 is all of the charger."""

    def set_profile(self, connector: int, profile: Profile) -> Message:
        """Lay a profile into the charger."""

    def clear_profile(self, profile_id: int) -> Message:
        """Take the profile of this id out."""

    def clear_profiles(self, connector: int, purpose: Purpose, stack_level: int) -> Message:
        """Take out what lies at this place, for chargers that do not know their profiles by id."""

    def get_composite(self, connector: int, unit: Unit) -> Message:
        """Ask what limit is in force."""

    def composite_limit(self, answer: Payload, unit: Unit) -> float | None:
        """The limit in force now, in `unit`; infinite: none; None: it cannot be told."""


def version_of(subprotocol: str | None) -> Version:
    """The version of a connection. Loaded when a charger first speaks it: one costs some MB and 0.1 s."""
    if subprotocol and subprotocol.lower() == OCPP_201:
        from drivers.ocpp import v201

        return v201
    from drivers.ocpp import v16

    return v16
