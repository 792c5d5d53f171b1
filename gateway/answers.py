"""What the daemon answers a person on site: the state of its parts in the console's shapes."""

from __future__ import annotations

import math
from typing import Protocol
from zoneinfo import ZoneInfo

from gateway import cars, charge_sessions, consent, evidence, record, settled, word
from gateway import keys as trusted
from gateway.cars import moment
from gateway.console.answers import (
    VERBS,
    Answer,
    AssetLine,
    DeviceLine,
    InstructionAsset,
    InstructionLine,
    Link,
    Question,
    Status,
    TrustedKeys,
    Why,
)
from gateway.core import charging, preheat, schedule
from gateway.core.bind import why as why_bound
from gateway.core.decide import bounds_of
from gateway.core.delay import waiting
from gateway.core.fuse import lines
from gateway.core.life import Entry
from gateway.core.model import Ability, Asset, FallbackBy, Governor, Reason, Setpoint, Snapshot
from gateway.core.slack import slack
from gateway.daemon.charge_sessions import ChargeSessions
from gateway.daemon.clock import Clock
from gateway.daemon.desk import Desk
from gateway.daemon.documents import own_version
from gateway.daemon.history import History
from gateway.daemon.home import Home
from gateway.daemon.keys import Keys
from gateway.daemon.minutes import Minutes
from gateway.daemon.post import Post


class Household(cars.Household, consent.Schedules, Protocol):
    """What a person may tell the home."""


class Answers:
    """Answers questions from the local socket."""

    def __init__(
        self,
        home: Home,
        clock: Clock,
        desk: Desk,
        post: Post,
        minutes: Minutes,
        keys: Keys,
        sessions: ChargeSessions,
        history: History,
        household: Household,
    ) -> None:
        self._home = home
        self._clock = clock
        self._desk = desk
        self._post = post
        self._minutes = minutes
        self._keys = keys
        self._sessions = sessions
        self._history = history
        self._household = household

    async def answer(self, question: Question) -> Answer:
        """The answer to one question; `error` for one that makes no sense here."""
        if shown := self._shown(question):
            return shown
        match question.get("ask"):
            case "override" | "pause":
                return self._said(word.override(question, *self._heard()))
            case "release":
                return self._said(word.release(question, *self._heard()))
            case "opt-out" | "accept" | "decline" as said:
                return self._said(await consent.WORDS[said](question, self._desk))
            case "skip-delay":
                left_s = self._own_delays_s()
                return self._said(await consent.skip_delay(question, self._desk, self._household, left_s))
            case "sessions" | "meter" | "half-hours" | "report":
                return await self._past(question)
            case "soc":
                return self._of_car(cars.type_in(question, self._snapshot(), self._household))
            case "charge-now":
                return self._of_car(cars.charge_now(question, self._snapshot(), self._household))
            case verb:
                return {"error": f"cannot answer {verb!r}; ask {', '.join(VERBS[:-1])} or {VERBS[-1]}"}

    def _shown(self, question: Question) -> Answer | None:
        """The answer to a question that only asks; None: it also does something."""
        match question.get("ask"):
            case "status":
                return self._status()
            case "why":
                return self._why_all(question.get("asset"))
            case "dispatch":
                return {"instructions": [self._instruction(entry) for entry in self._present()]}
            case "keys":
                return self._trusted_keys()
        return None

    async def _past(self, question: Question) -> Answer:
        config, utc_s = self._home.config, self._clock.utc_s()
        match question.get("ask"):
            case "meter":
                return await record.answer(question, self._history, self._minutes.logs(), config.zone, utc_s)
            case "half-hours":
                logs = self._minutes.settlement_logs()
                return await settled.answer(question, self._history, logs, config.zone, utc_s)
            case "report":
                return await evidence.answer(question, self._desk.book, self._history, config.zone, utc_s)
        return await charge_sessions.page(question, self._sessions, config.assets, config.zone)

    # --- status -----------------------------------------------------------------------------------------

    def _status(self) -> Status:
        config, now_s = self._home.config, self._clock.monotonic_s()
        snapshot = self._snapshot()
        boundary = snapshot.boundary_w
        return {
            "site": config.site.id,
            "version": own_version(),
            "clock": {
                "utc": moment(self._clock.utc_s()) if self._clock.trusted else None,
                "trusted": self._clock.trusted,
            },
            "uplink": self._link(),
            "signatures_required": config.security.require_signatures,
            "offset_s": self._minutes.offset_s,
            "boundary_w": boundary.value if boundary else None,
            "devices": [self._device(name, now_s) for name in config.devices],
            "assets": [self._asset(asset, snapshot) for asset in config.assets],
            "instructions": [self._instruction(entry) for entry in self._present()],
        }

    def _trusted_keys(self) -> TrustedKeys:
        utc_s = self._clock.utc_s() if self._clock.trusted else None
        return trusted.told(self._keys.root, self._keys.in_force, self._home.config.zone, utc_s)

    def _link(self) -> Link:
        configured = self._home.config.uplink is not None
        return {
            "configured": configured,
            "up": self._post.up,
            "why": "" if self._post.up or not configured else self._post.why,
            "unsent": self._post.unsent,
        }

    def _device(self, name: str, now_s: float) -> DeviceLine:
        device, health = self._home.config.devices[name], self._home.healths.get(name)
        return {
            "name": name,
            "driver": device.driver,
            "online": health is not None and health.online,
            "since_s": now_s - health.since_s if health else 0.0,
            "why": health.why if health else "not heard of yet",
            "failsafe": failsafe(device.ability),
        }

    def _asset(self, asset: Asset, snapshot: Snapshot) -> AssetLine:
        state, setpoint = snapshot.state(asset.id), self._setpoint(asset)
        text, left_s = self._text(asset, snapshot)
        return {
            "id": asset.id,
            "asset_class": asset.asset_class.value,
            "power_w": state.power_w.value if state.power_w else None,
            "room_c": state.room_c.value if state.room_c else None,
            "water_c": state.water_c.value if state.water_c else None,
            "at_most_w": setpoint.at_most_w,
            "raised": setpoint.raised,
            "governor": setpoint.governor.value,
            "reason": setpoint.reason.value,
            "text": text,
            "delay_left_s": left_s,
            "car": cars.line(snapshot, asset),
        }

    # --- why --------------------------------------------------------------------------------------------

    def _why_all(self, asset: str | None) -> Answer:
        assets = [a for a in self._home.config.assets if asset in (None, a.id)]
        if not assets:
            return {"error": self._no_such(asset)}
        snapshot = self._snapshot()
        return {"assets": [self._why(a, snapshot) for a in assets]}

    def _why(self, asset: Asset, snapshot: Snapshot) -> Why:
        setpoint, plan = self._setpoint(asset), self._home.plan
        bounds = bounds_of(snapshot, asset, lines(snapshot))
        text, left_s = self._text(asset, snapshot)
        return {
            "asset": asset.id,
            "at_most_w": setpoint.at_most_w,
            "raised": setpoint.raised,
            "governor": setpoint.governor.value,
            "reason": setpoint.reason.value,
            "text": text,
            "delay_left_s": left_s,
            "car": cars.words(snapshot, asset),
            "slack": slack(snapshot, asset).text,
            "preheat": preheat.words(snapshot, asset, setpoint, bounds),
            "limits": [
                {
                    "rank": bound.rank.name.lower(),
                    "reason": bound.reason.value,
                    "at_least_w": bound.at_least_w,
                    "at_most_w": bound.at_most_w,
                    "text": bound.text,
                }
                for bound in bounds
            ],
            "instructions": [line for entry in self._present() for line in self._lives(entry, asset.id)],
            "sources": why_bound(
                self._home.latest,
                asset,
                snapshot.now_s,
                room_max_age_s=snapshot.limit(asset.id).room_max_age_s,
            ),
            "failsafe": failsafe(asset.ability),
            "next_change_s": None if math.isinf(plan.next_change_s) else plan.next_change_s,
        }

    # --- instructions -----------------------------------------------------------------------------------

    def _present(self) -> list[Entry]:
        """Those that are open, or whose return is delayed."""
        return [e for e in self._desk.book.current.values() if e.is_open or self._desk.running_delay(e.id)]

    def _instruction(self, entry: Entry) -> InstructionLine:
        return {
            "id": entry.id,
            "service": entry.instruction.service if entry.instruction else "",
            "service_class": entry.instruction.service_class if entry.instruction else "",
            "vector": entry.instruction.vector.value if entry.instruction else "",
            "asked": consent.asked(entry, self._clock.utc_s()),
            "agreed": entry.agreed,
            "start": moment(entry.window_utc_s[0]),
            "end": moment(entry.window_utc_s[1]),
            "targets": [target.name for target in entry.targets],
            "assets": [line for life in entry.lives for line in self._lives(entry, life.asset)],
        }

    def _lives(self, entry: Entry, asset: str) -> list[InstructionAsset]:
        life = entry.life(asset)
        if life is None:
            return []
        delay = self._desk.running_delay(entry.id) if asset in waiting(entry) else None
        text = life.text if life.status.is_end else life.text + consent.choice(entry)
        return [
            {
                "instruction": entry.id,
                "asset": life.asset,
                "status": life.status.value,
                "extent": life.extent.value if life.extent else "",
                "reason": life.reason.value if life.reason is not Reason.NONE else "",
                "text": consent.countdown(delay) if delay else text,
                "short_w": self._short_w(entry.id, life.asset),
                "delay_left_s": delay.left_s if delay else None,
            }
        ]

    def _short_w(self, id_: str, asset: str) -> int | None:
        given = (g for g in self._home.plan.given if (g.instruction, g.asset) == (id_, asset))
        return next((g.short_w for g in given), None)

    # --- what is done -----------------------------------------------------------------------------------

    def _heard(self) -> tuple[Snapshot, ZoneInfo, Household]:
        return self._snapshot(), self._home.config.zone, self._household

    def _said(self, done: word.Said | consent.Heard | str) -> Answer:
        if isinstance(done, str):
            return {"error": done}
        meant = done.assets
        if not meant:
            return {"done": done.what}
        now = ", ".join(f"{a.id} {self._in_force(a)}" for a in self._home.config.assets if a.id in meant)
        return {"done": f"{', '.join(meant)}: {done.what}; now {now}"}

    def _of_car(self, done: cars.Noted | str) -> Answer:
        if isinstance(done, str):
            return {"error": done}
        car, what = done
        stands = what or charging.words(self._snapshot(), car)
        return {"done": f"{car.id}: {stands}; now {car.id} {self._in_force(car)}"}

    def _in_force(self, asset: Asset) -> str:
        setpoint = self._setpoint(asset)
        if setpoint.raised:
            return f"is raised: {setpoint.text}"
        if setpoint.at_most_w is None:
            why = f": {setpoint.text}" if setpoint.governor is Governor.LIMIT else ""
            return f"runs by its own control{why}"
        return f"is held to {setpoint.at_most_w} W: {setpoint.text}"

    # --- parts ------------------------------------------------------------------------------------------

    def _snapshot(self) -> Snapshot:
        return self._home.snapshot(
            self._clock.utc_s(),
            trusted=self._clock.trusted,
            instructions=self._desk.open_instructions(),
        )

    def _setpoint(self, asset: Asset) -> Setpoint:
        found = self._home.plan.setpoint(asset.id)
        assert found, "every asset has a setpoint from the first turn on"
        return found

    def _text(self, asset: Asset, snapshot: Snapshot) -> tuple[str, float | None]:
        """Why the setpoint, in words; and how long it still waits for the delay of its own schedule, if it is
        that which holds it."""
        setpoint, left_s = self._setpoint(asset), schedule.left_s(snapshot, asset)
        if left_s is None or setpoint.governor is not Governor.DELAY or not setpoint.of_schedule:
            return setpoint.text, None
        return f"{setpoint.text}: {consent.own_countdown(left_s)}", left_s

    def _own_delays_s(self) -> dict[str, float | None]:
        """How long each asset still waits for the delay of its own schedule, if it does."""
        snapshot = self._snapshot()
        return {asset.id: schedule.left_s(snapshot, asset) for asset in snapshot.assets}

    def _no_such(self, asset: str | None) -> str:
        names = ", ".join(a.id for a in self._home.config.assets) or "none"
        return f"no asset {asset!r}; there are {names}" if asset else "no asset is configured"


def failsafe(ability: Ability) -> str:
    """What happens to a device when the gateway is gone, in words."""
    if not ability.holds:
        return "only watched"
    if ability.fallback is FallbackBy.NONE:
        return f"KEEPS our last setting for ever (never below {ability.lowest_w} W)"
    by = "by its own timer" if ability.fallback is FallbackBy.DEVICE else "when our renewals stop"
    return f"runs by its own control again within {ability.lease_s:.0f} s, {by}"
