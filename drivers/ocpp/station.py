"""What is known of one charger: its state, its session, its meter. Told by its messages; it tells the points.

No socket and no waiting. What the charger says now counts; what it kept while it was offline is history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from drivers.base import DevicePort, Sample
from drivers.ocpp.charger_clock import Kept
from drivers.ocpp.gauge import Gauge
from drivers.ocpp.learned import Learned, Session
from drivers.ocpp.meter import Metered
from drivers.ocpp.notes import Notes
from drivers.ocpp.profile import SessionId
from drivers.ocpp.settings import Settings
from drivers.ocpp.told_time import ToldTime
from drivers.ocpp.transactions import Transactions
from drivers.ocpp.version import SessionTold

RESTING = {"Available", "Preparing", "Finishing", "Reserved"}  # in these no session draws
OCCUPIED = "Occupied"  # a car is there, and whether a session runs was not told
PLUGGED = {OCCUPIED, "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"}
DRAWS_W = 50.0  # less is no charging
STANDS_S = 10.0  # how often what did not change is said again while the charger is there
IDLE_METER_S = 75.0  # a meter that tells each minute speaks for itself, also without a session
LATE_STATUS_S = 30.0  # by then a connector has told its own state, or connector 0 speaks for it
ENDED_MAX = 64
TRIGGER = "TriggerMessage"
_BY_HAND = {"", "Local", "Remote", "EmergencyStop", "UnlockCommand", "MasterPass"}


class Station:
    """One connector of a charger during one connection."""

    def __init__(self, settings: Settings, port: DevicePort, learned: Learned) -> None:
        self.volts = settings.volts
        self.phases: int = settings.phases
        self.transactions = Transactions(port.facts, settings.connector)
        self.session: Session | None = None
        self.status = ""
        self.paused_by_us = False
        self.power_w: float | None = None
        self.metered_s = -math.inf  # when the meter last told a power
        self.status_s = -math.inf
        self.booted_s: float | None = None
        self.spoke_s: float | None = None  # of something else than its start
        self.asked_for_meter = False  # in this connection
        self.stir: Callable[[], None] = lambda: None
        self.notes = Notes(port, learned, lambda: self.stir())
        self.time = ToldTime(port, learned.clock, self.notes)
        self._settings = settings
        self._port = port
        self._learned = learned
        self._gauge = Gauge(settings.wiring.most.power_w)
        self._opened_s = port.monotonic()
        self._status_0 = ""
        self._own_meter = False
        self._ended: set[SessionId] = set()  # in this connection
        self._socket = 1  # of the connector that has the car, where there are several
        self._is_told = False  # whether a session runs, by a message about one
        self._stood_s = -math.inf
        if (running := self.transactions.running) is not None:
            self.session = Session(running, self._opened_s, presumed=True)

    # --- what others ask ----------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether the charger said, in this connection, whether a session runs."""
        return self.status not in ("", OCCUPIED) or self._is_told

    @property
    def is_unsure(self) -> bool:
        """Whether a session may run that nothing in this connection told of."""
        return self.session is None and not self.is_known

    async def keep(self) -> None:
        """Write down what a restart must not forget.

        Raises:
            Refused: the disk does not take it.
        """
        await self.notes.keep()
        if self.transactions.pending:
            await self.transactions.keep()

    # --- what the charger says ------------------------------------------------------------------------

    def now_s(self) -> float:
        """UTC to set the charger's clock by."""
        return self.time.to_tell_s()

    def booted(self, vendor: str, model: str, firmware: str) -> None:
        """It started."""
        self.booted_s = self._port.monotonic()
        self._learned.boots_s.append(self.booted_s)
        self.notes.note_identity(" ".join(filter(None, (vendor, model, firmware))))
        self.stir()

    def told_status(self, connector: int, status: str, stamp_s: float | None) -> None:
        """It told the state of a connector."""
        self._spoke(stamp_s, Kept.HARDLY)
        if connector == 0:
            self._status_0 = status
        elif connector == self._settings.connector and status:
            self._take_status(status)

    def told_cable(self, connector: int, socket: int, stamp_s: float | None, *, plugged: bool) -> None:
        """It told whether a car is plugged in, and not whether a session runs.

        A session without a car is over for us, and goes on if the charger says so after all.
        """
        self._spoke(stamp_s, Kept.HARDLY)
        if connector != self._settings.connector or (not plugged and socket != self._socket):
            return
        self._socket = socket
        if not plugged:
            if self.session:
                self._end()
            self._take_status("Available")
        elif self.session is None and self.status not in PLUGGED:
            self._take_status("Preparing" if self.is_known else OCCUPIED)

    def told_session(self, told: SessionTold) -> None:
        """A session goes on, or a car waits for one to which the charger gave an id already.

        What waited for its connection tells at most that a session may run still.
        """
        is_old = self._spoke(told.stamp_s, self._kept(asked_for=told.asked_for)) or told.waited
        is_same = self.session is not None and self.session.id == told.id
        if not is_old and (told.begins or told.id not in self._ended):
            self.transactions.revived(told.id)  # some count their sessions anew with each start
        runs = told.authorised or told.state not in ("Preparing", "Available")
        is_own = self.transactions.met(told.id, told.connector, runs=runs)
        is_news = is_same or not is_old or self.is_unsure
        if not is_own or not is_news or self.transactions.is_over(told.id):
            return
        self._socket, self._is_told = told.socket or self._socket, self._is_told or not is_old
        if told.state == "Available" and not is_old:
            self.told_cable(self._settings.connector, self._socket, None, plugged=False)
        elif self.transactions.waits(told.id):
            self._wait(is_old)
        else:
            self._go_on(told, is_old=is_old, is_same=is_same)

    def no_session(self) -> None:
        """It said that none runs; its messages may still say something else."""
        self._is_told = True
        if self.session and self.session.presumed:
            self._end()
        if self.status == OCCUPIED:
            self._take_status("Preparing")
        self.stir()

    def started(
        self, connector: int, id_tag: str, register_ws: int | None, stamp_s: float | None, stamp_text: str
    ) -> int:
        """It began a session; the session's id. A start that is told twice gets the same.

        A stamp without a zone is no moment, and still tells one start from another.
        """
        is_old = self._spoke(stamp_s)
        start = f"{connector} {id_tag} {stamp_text if stamp_s is None else stamp_s} {register_ws}"
        transaction, is_over = self.transactions.begun(start, connector, dated=stamp_s is not None)
        if connector in (0, self._settings.connector) and not is_over:
            self.notes.note_by_hand(False)
            is_known = self.session is not None and self.session.id == transaction
            if not is_known and not (is_old and self.status in RESTING):
                self._begin(transaction)
                self._publish_register(register_ws)
        self.stir()
        return transaction

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
        """It ended a session, now or while it was offline. `state`: of its connector since then."""
        is_old = self._spoke(stamp_s) or waited
        is_own = self.transactions.is_own(transaction)
        if transaction is not None:
            self.transactions.ended(transaction)
            self._note_end(transaction)
        if self.session and self.session.id in (None, transaction) and is_own is not False:
            self._end()
            if not is_old:
                self._publish_register(register_ws)
            says_nothing = self.paused_by_us and not reason  # some end a session that they are to pause
            if reason in _BY_HAND and not says_nothing and self.status != "Available":
                self.notes.note_by_hand(True)
        if state and is_own and not is_old and self.session is None and self.status != "Available":
            self._take_status(state)
        self.stir()

    def told_meter(self, connector: int, transaction: SessionId | None, moments: Sequence[Metered]) -> None:
        """It told what its meter shows; of what it kept nothing counts as now."""
        own = connector == self._settings.connector
        self._own_meter = self._own_meter or own
        fresh = [
            moment
            for moment in moments
            if not self._spoke(moment.stamp_s, self._kept(asked_for=moment.asked_for))
        ]
        is_over = transaction is not None and self.transactions.is_over(transaction)
        if not (own or (connector == 0 and not self._own_meter)) or not fresh or is_over:
            return
        if own:
            self._adopt(transaction, fresh[-1])
        self._meter(fresh)

    def alive(self) -> None:
        """It is there, and what it said last still stands."""
        now_s = self._port.monotonic()
        if now_s - self._opened_s > LATE_STATUS_S:
            if not self.status and self._status_0:
                self._take_status(self._status_0)
            elif self.status == OCCUPIED and self.session is None:
                self._take_status("Preparing")
        if now_s - self._stood_s >= STANDS_S:
            self._publish_state()

    # --- what follows ---------------------------------------------------------------------------------

    def _note_end(self, transaction: SessionId) -> None:
        if len(self._ended) >= ENDED_MAX:
            self._ended.clear()
        self._ended.add(transaction)

    def _wait(self, is_old: bool) -> None:
        """A car is there, and nobody let it charge yet."""
        if not is_old and self.session is None:
            self._take_status("Preparing")

    def _go_on(self, told: SessionTold, *, is_old: bool, is_same: bool) -> None:
        """A session of this id runs, or ran when the message was written."""
        if not is_same:
            self._begin(told.id)
            self.notes.note_by_hand(False)
        if self.session and (is_old or self.session.presumed):
            self.session = replace(self.session, presumed=is_old and (self.session.presumed or not is_same))
        if is_old:
            return
        if not is_same:
            self._publish_register(told.register_ws)
        if told.state:
            self._take_status(told.state)
        self._meter(told.moments)

    def _meter(self, moments: Sequence[Metered]) -> None:
        points: dict[str, Sample] = {}
        for moment in moments:
            points |= self._points(moment)
        if points:
            self._port.publish(points)
        self.stir()

    def _kept(self, *, asked_for: bool) -> Kept:
        return Kept.NEVER if asked_for and self.asked_for_meter else Kept.MAYBE

    def _spoke(self, stamp_s: float | None, kept: Kept = Kept.MAYBE) -> bool:
        """Note that something was said; whether it is of the past."""
        self.spoke_s = self._port.monotonic() if self.spoke_s is None else self.spoke_s
        return stamp_s is not None and self.time.heard(stamp_s, kept)

    def _take_status(self, status: str) -> None:
        self.status, self.status_s = status, self._port.monotonic()
        unsure = self.session is not None and (self.session.presumed or self.session.id is None)
        if status == "Available" or (unsure and status in RESTING):
            if self.session:
                self.transactions.ended(self.session.id)
                self._end()
        elif status == "Charging" and self.session is None:
            self._set(Session(None, self.status_s))
        elif self.session and self.session.presumed and status in PLUGGED:
            self._set(replace(self.session, presumed=False))
        if status == "Available":
            self.notes.note_by_hand(False)
        self._publish_state()
        self.stir()

    def _adopt(self, transaction: SessionId | None, moment: Metered) -> None:
        """A session that runs without our having heard of its start."""
        current = self.session
        if transaction is not None and (isinstance(transaction, str) or transaction > 0):
            if current is None or current.id != transaction or current.presumed:
                self.transactions.adopted(transaction)
                self._set(Session(transaction, self._port.monotonic()))
                self._publish_state()
        elif current is None and moment.power and moment.power.power_w > DRAWS_W:
            self._set(Session(None, self._port.monotonic()))
            self._publish_state()

    def _points(self, moment: Metered) -> dict[str, Sample]:
        now_s = self._port.monotonic()
        points = self._gauge.read(moment, now_s if moment.stamp_s is None else moment.stamp_s)
        for text in self._gauge.complaints:
            self.notes.tell_once("meterOdd", text)
        if power := points.get("power_w"):
            self.power_w, self.metered_s = power.value, now_s
        if self.session:
            seen = max(self.session.phases or 0, moment.phases or 0) or None
            if seen != self.session.phases:
                self.session = replace(self.session, phases=seen)
            if seen:
                self.notes.note_phases(seen)
            if moment.soc_pct is not None and 1 <= moment.soc_pct <= 100:
                points["soc"] = Sample(moment.soc_pct / 100)
        return points

    def _begin(self, transaction: SessionId) -> None:
        self._gauge.forget()
        self._set(Session(transaction, self._port.monotonic()))
        self._publish_state()

    def _end(self) -> None:
        self._gauge.forget()
        self._set(None)
        self.power_w, self.metered_s = 0.0, -math.inf
        self._port.publish({"power_w": Sample(0)})
        self._publish_state()

    def _set(self, session: Session | None) -> None:
        self.session, self._is_told = session, True
        self.stir()

    def _publish_state(self) -> None:
        """What stands: plugged in or not, in a session or not, and nothing drawn where there is none."""
        self._stood_s = self._port.monotonic()
        if not self.is_known:
            return
        points = {"charging": Sample(int(self.session is not None))}
        if self.session or self.status in PLUGGED or self.status in RESTING:
            points["connected"] = Sample(int(self.session is not None or self.status in PLUGGED))
        if not self.session and self.status in RESTING and self._stood_s - self.metered_s > IDLE_METER_S:
            points["power_w"] = Sample(0, reasons=("noSession",))
        self._port.publish(points)

    def _publish_register(self, register_ws: int | None) -> None:
        if register_ws:
            self._port.publish({"import_ws": Sample(register_ws)})
