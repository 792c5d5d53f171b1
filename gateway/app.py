"""The composition root: a configuration in, a running daemon out.

Start, hot reload (SIGHUP) and stop are the same `reconcile` of the fleet. One TaskGroup owns every task.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from random import SystemRandom

import structlog

from drivers.base import TAKEN_BACK, DeviceEvent
from gateway.answers import Answers
from gateway.console import local_socket
from gateway.core import schedule
from gateway.core.charging import type_in
from gateway.core.eligibility import Home as Rules
from gateway.core.memory import override
from gateway.core.model import Asset, Governor, Override, Plan, Reason, Snapshot
from gateway.daemon import documents
from gateway.daemon.alone import NotAlone, alone
from gateway.daemon.chance import Drawn, draw_of
from gateway.daemon.charge_sessions import ChargeSessions
from gateway.daemon.clock import BUILT_UTC_S, Clock, Trust
from gateway.daemon.config import Config, ConfigError
from gateway.daemon.desk import Desk
from gateway.daemon.facts import StoredFacts
from gateway.daemon.fleet import Fleet
from gateway.daemon.half_hours import HalfHours
from gateway.daemon.history import History
from gateway.daemon.home import Home
from gateway.daemon.keeper import DAY_S, EDGE_S, Keeper
from gateway.daemon.keys import Keys
from gateway.daemon.limits import limits_of
from gateway.daemon.log import set_up_log
from gateway.daemon.loop import Loop
from gateway.daemon.minutes import Minutes
from gateway.daemon.notify import Notify
from gateway.daemon.outbox import Outbox
from gateway.daemon.post import Post, subscriptions
from gateway.daemon.recollection import Recollection
from gateway.daemon.records import Records
from gateway.daemon.rpc import Rpc
from gateway.daemon.sections import UplinkSection
from gateway.daemon.store import Store
from gateway.daemon.uplink import Tls, Uplink, UplinkSettings, Will
from gateway.daemon.windows import Windows
from gateway.files import DATABASE, read, read_keys, read_password, root
from gateway.giving_back import give_back, held_by, open_driver
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing
from gateway.wire.message import encode
from gateway.wire.state import Presence, State

log = structlog.get_logger()

TAKEN_BACK_S = 3600.0  # how long an override at the device itself lasts; the household may end or lengthen it
STAYS_ON_LEASE_S = 900.0  # a device that falls back alone within this is left as it is at a stop
WRITER_SLOW_S = 60.0  # a disk that has not answered for so long is not alive
TURN_SLOW_S = 10.0  # nor is a loop that has not turned
FIXED = ("site", "paths", "uplink", "clock")  # sections that only a restart changes
EVENT_KINDS = {"deviceLost": EventKind.DEVICE_LOST, "deviceBack": EventKind.DEVICE_BACK}


def run(config_file: Path, *, json_log: bool = False) -> int:
    """Run the daemon until a signal; the exit code."""
    set_up_log(as_json=json_log)
    with contextlib.ExitStack() as held:
        try:
            config = read(config_file)
            keys, password = read_keys(config), read_password(config)
            held.enter_context(alone(config.paths.state))
        except (ConfigError, NotAlone, OSError) as error:
            sys.stderr.write(f"{config_file}: {error}\n")
            return 1
        asyncio.run(_serve(config_file, config, keys, password))
    return 0


async def _serve(config_file: Path, config: Config, keys: KeyRing | None, password: str | None) -> None:
    async with Store.open(config.paths.state / DATABASE) as store:
        daemon = Daemon(config_file, config, keys, password, store)
        async with daemon.fleet:
            await daemon.run()


class Daemon:
    """Everything that runs, put together."""

    def __init__(
        self, config_file: Path, config: Config, keys: KeyRing | None, password: str | None, store: Store
    ) -> None:
        saved = store.saved
        self._file = config_file
        self._store = store
        self._password = password
        self._boot = "".join(SystemRandom().choices("abcdefghijklmnopqrstuvwxyz234567", k=12))
        self._recollection = Recollection(store)
        self.clock = clock = Clock(
            trust=Trust.ALWAYS if config.clock.trust == "always" else Trust.KERNEL,
            floor_utc_s=max(BUILT_UTC_S, self._recollection.last_utc_s),
        )
        self.outbox = Outbox(saved.stream, saved.heads)
        self.records = Records(config.site.id, self._boot, store, self.outbox, clock)
        self.home = home = Home(config, clock.monotonic_s)
        home.memory = self._recollection.memory(clock)
        self.windows = Windows(saved.meta.get("windows"))
        self.drawn = Drawn(store)
        offset_s = self._offset_s
        self.minutes = Minutes(home, self.outbox, clock, self.windows, offset_s, saved.meta)
        self.half_hours = HalfHours(self.minutes, self.records, clock)
        self.sessions = ChargeSessions(saved, store, clock)
        entries = self._recollection.entries()
        self.keys = Keys(config.site.id, root(config), keys, saved.meta, store.submit, self.records, clock)
        self.desk = Desk(home, self.rules, self.keys.ring, self.records, clock, self.windows, entries)
        self.post = Post(config.site.id, self._boot, store, self.outbox, self.records, clock)
        self.keeper = Keeper(
            home,
            self.minutes,
            self.half_hours,
            self.sessions,
            self._recollection,
            self.drawn,
            self.outbox,
            self.records,
            store,
            clock,
        )
        self.rpc = Rpc(
            config.site.id,
            self.keys.ring,
            lambda: self.home.config.security.require_signatures,
            self._state,
            self.outbox,
            store,
            self.records,
            clock,
        )
        self.fleet = Fleet(open_driver, StoredFacts(store).of, home, clock)
        self.loop = Loop(home, self.fleet, clock, self.desk.open_instructions, self._decided)
        self._availability = documents.AvailabilityNews()
        self._notify = Notify()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._limits_s = float("-inf")
        self._alive_s = float("-inf")
        self._trusted = clock.trusted
        self._limited: frozenset[str] = frozenset()
        self._taken = {o.asset: o for o in home.memory.overrides}
        self._take_reporting()
        self._introduce()

    def _introduce(self) -> None:
        """Let the parts know each other."""
        self.home.wake = self.loop.wake
        self.home.on_points = self.minutes.points
        self.home.on_event = self._device_event
        self.windows.energy_ws = self.minutes.energy_ws
        self.sessions.flowed = self.minutes.flowed
        self.sessions.settled = self.home.settled
        self.windows.power_w = self.minutes.power_w
        self.windows.save = self._store.submit
        self.desk.act = self.loop.act
        self.desk.acknowledge = self.post.acknowledge
        self.keeper.runs_instruction = self.desk.runs_instruction
        self.post.on_dispatch = self.desk.message
        self.keys.acknowledge = self.post.acknowledge
        self.rpc.acknowledge = self.post.acknowledge
        self.rpc.tell = self.post.answer
        self.post.on_question = self.rpc.message
        self.post.on_keys = self.keys.message
        self.post.offset_s = lambda: self.minutes.offset_s
        self.post.state = self._state

    def rules(self) -> Rules:
        """What the life of instructions needs of the configuration."""
        config = self.home.config
        return Rules(
            assets=config.assets,
            has_boundary_meter=config.boundary is not None,
            allow_excludes=frozenset(config.services.lift_excludes),
            default_start_delay_s=config.delays.default_start_s,
            default_end_delay_s=config.delays.default_end_s,
            plug_notice_s=config.services.plug_notice_s,
            tells_soc=frozenset(name for name, section in config.sections.items() if section.tells_soc),
            delays_itself=frozenset(
                name for name, section in config.sections.items() if section.delays_itself
            ),
            simple_w=config.services.simple.caps_w,
        )

    def _state(self) -> State:
        offset_s, trusted = self.minutes.offset_s, self.keys.in_force
        return documents.state_of(self.home, self.clock, self._boot, offset_s, trusted)

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the first signal; a second one aborts."""
        self._take_signals()
        self._tell_start()
        await self.drawn.keep(EDGE_S)
        self._lay_out_limits()
        answers = Answers(
            self.home,
            self.clock,
            self.desk,
            self.post,
            self.minutes,
            self.keys,
            self.sessions,
            History(self._store, self.outbox),
            self,
        )
        uplink = self._uplink()
        async with (
            local_socket.serve(self.home.config.paths.socket, answers.answer),
            asyncio.TaskGroup() as group,
        ):
            deciding = group.create_task(self._decide(), name="loop")
            tasks = [
                group.create_task(self._look(), name="look"),
                group.create_task(self.keeper.run(), name="keep"),
                group.create_task(self.keeper.keep_room(), name="keep room"),
                group.create_task(self._reload_when_asked(), name="reload"),
                group.create_task(self.post.run(), name="post"),
            ]
            if uplink:
                tasks.append(group.create_task(uplink.run(), name="uplink"))
            await self._stop.wait()
            self._notify.stopping()
            deciding.cancel()
            self.loop.stop()
            await self._end(uplink)
            for task in tasks:
                task.cancel()

    async def _decide(self) -> None:
        self.loop.turn()  # before any device is reached: what they are first asked is decided
        await self.fleet.reconcile(self.home.config.devices)
        self._notify.ready()
        log.info("started", site=self.home.config.site.id, version=documents.own_version())
        await self.loop.run()

    async def _end(self, uplink: Uplink | None) -> None:
        """No new writes; devices that would not fall back alone are given back; the rest is told and kept."""
        endless = [
            asset.control
            for asset in self.home.config.assets
            if asset.control and asset.ability.holds and asset.ability.lease_s > STAYS_ON_LEASE_S
        ]
        if missed := await give_back(self.fleet, self.home, endless):
            log.error("not given back at the stop", devices=missed)
        await self.keeper.close()
        await self.post.stop()
        await self.keeper.commit()
        if uplink:
            await uplink.close()
        log.info("stopped")

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _stop_asked(self) -> None:
        if self._stop.is_set():
            raise SystemExit(1)
        self._stop.set()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self.reload()

    async def reload(self) -> None:
        """Take the configuration file as it is now: devices whose part changed are touched, no others."""
        was = self.home.config
        try:
            config = read(self._file)
            keys = read_keys(config)
        except (ConfigError, OSError) as error:
            log.error("configuration not taken, the former stays in force", error=str(error))
            return
        changed = [name for name in FIXED if getattr(config, name) != getattr(was, name)]
        if config.security.root != was.security.root:
            changed.append("security.root")
        if changed:
            log.error("configuration not taken: a restart is needed", changed=changed)
            return
        self.home.config = config
        self.keys.take_local(keys)
        self._lay_out_limits()
        self._take_reporting()
        self.minutes.reconfigure()
        if missed := await give_back(self.fleet, self.home, held_by(was) - held_by(config)):
            log.error("no longer ours, but not given back", devices=missed)
        await self.fleet.reconcile(config.devices)
        self.loop.wake()
        log.info("configuration taken", digest=config.digest[:12])

    # --- each second ------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """What must not wait for a disk."""
        while True:
            self._look_at_clock()
            if self.clock.monotonic_s() - self._limits_s > DAY_S:
                self._lay_out_limits()
                self.keeper.drop_old()
            self.keys.look()
            self._describe()
            self._feed_watchdog()
            await asyncio.sleep(1.0)

    def _look_at_clock(self) -> None:
        step = self.clock.check()
        if step:
            self.records.event(EventKind.CLOCK, f"the clock stepped by {step.by_s:.1f} s", Severity.WARNING)
            self._lay_out_limits()
            self.outbox.flush()
        if self.clock.trusted is not self._trusted:
            self._trusted = self.clock.trusted
            text = "the clock is trusted" if self._trusted else "the clock is no longer trusted"
            self.records.event(EventKind.CLOCK, text, Severity.INFO if self._trusted else Severity.WARNING)
            log.info(text, source=self.clock.source)
            self._lay_out_limits()

    def _lay_out_limits(self) -> None:
        self._limits_s = self.clock.monotonic_s()
        self.home.limits = limits_of(self.home.config, self.clock.utc_s(), draw_of(self.drawn.seed))

    def _describe(self) -> None:
        self.post.describe()
        if not self.post.up:
            return
        now_s = self.clock.monotonic_s()
        if self._availability.may_be_due(now_s):
            document = documents.availability_of(self.loop.snapshot(), self.home.config.site.id)
            if self._availability.is_due(document, now_s):
                self.post.retain("availability", encode(document))

    def _feed_watchdog(self) -> None:
        every_s, now_s = self._notify.watchdog_s, self.clock.monotonic_s()
        turns = now_s - self.loop.turned_s < TURN_SLOW_S
        if (
            every_s
            and now_s - self._alive_s >= every_s / 2
            and turns
            and self._store.waiting_s < WRITER_SLOW_S
        ):
            self._alive_s = now_s
            self._notify.alive()

    # --- what happens -----------------------------------------------------------------------------------

    def _decided(self, snapshot: Snapshot, plan: Plan) -> None:
        self.minutes.note(snapshot, plan)
        self.sessions.note(snapshot, plan)
        self.desk.progressed(snapshot, plan)
        self._tell_limits(plan)
        self._tell_over()

    def _tell_limits(self, plan: Plan) -> None:
        """An event when a local limit begins to stand in the way of an instruction."""
        standing = {
            g.asset: g
            for g in plan.given
            if (s := plan.setpoint(g.asset)) and s.governor is Governor.LIMIT and g.reason is s.reason
        }
        for asset, given in standing.items():
            if asset not in self._limited:
                ids = tuple(g.instruction for g in plan.given if g.asset == asset)
                self.records.event(
                    EventKind.LIMIT, given.text, asset=asset, dispatch_ids=ids, reason=given.reason
                )
        self._limited = frozenset(standing)

    def _tell_over(self) -> None:
        """An event when what the household said of an asset is over by itself."""
        taken = {o.asset: o for o in self.home.memory.overrides}
        for asset, was in self._taken.items():
            if asset not in taken:
                text = "the pause is over" if was.paused else "the override is over"
                if was.charging:
                    text = "charge now is over: the car is charged or gone, or its time is up"
                self.records.event(EventKind.OVERRIDE, text, asset=asset, reason=Reason.USER_OVERRIDE)
        self._taken = taken

    def override(self, asset: str | None, for_s: float, *, paused: bool = False) -> list[str]:
        """The household takes assets back or pauses them for a while (s), or ends that with 0; the assets
        meant."""
        known = [a.id for a in self.home.config.assets if a.ability.holds and asset in (None, a.id)]
        text = "paused" if paused else "taken back" if for_s > 0 else "given back"
        for id_ in known:
            self._take_back(id_, for_s, f"{text} by the household", paused=paused)
        self._act_on_memory()
        return known

    def charge_now(self, asset: str, most_s: float) -> None:
        """The household charges a car, whatever is asked, until it is charged or gone."""
        self._take_back(asset, most_s, "charge now, by the household", charging=True)
        self._act_on_memory()

    def skip_delay(self, assets: Collection[str]) -> None:
        """The household skips what is left of the random delays of these assets' schedules."""
        self.home.memory = schedule.skip(self.loop.snapshot(), assets)
        for asset in assets:
            text = "random delay of its schedule skipped by the household"
            self.records.event(EventKind.OVERRIDE, text, asset=asset, reason=Reason.USER_OVERRIDE)
        self._act_on_memory()

    def type_in(self, asset: Asset, soc: float) -> None:
        """The household says how full the car is."""
        self.home.memory = type_in(self.loop.snapshot(), asset, soc)
        self._act_on_memory()

    def _take_back(
        self, asset: str, for_s: float, text: str, *, charging: bool = False, paused: bool = False
    ) -> None:
        self._taken.pop(asset, None)  # what the household ends is not over by itself
        until_s = self.clock.monotonic_s() + for_s
        taken = Override(asset, until_s, charging, paused) if for_s > 0 else None
        self.home.memory = override(self.home.memory, asset, taken)
        self.records.event(
            EventKind.OVERRIDE,
            text,
            asset=asset,
            dispatch_ids=tuple(g.instruction for g in self.home.plan.given if g.asset == asset),
            reason=Reason.USER_OVERRIDE,
            until_utc_s=self.clock.utc_s() + for_s if taken and self.clock.trusted else None,
        )

    def _act_on_memory(self) -> None:
        self.keeper.remember()
        self.loop.turn()

    def _device_event(self, device: str, event: DeviceEvent) -> None:
        asset = next((a.id for a in self.home.config.assets if a.control == device), None)
        if event.kind == TAKEN_BACK and asset:
            self._take_back(asset, TAKEN_BACK_S, f"taken back by the household at the device: {event.text}")
            self.keeper.remember()
            self.loop.wake()
            return
        self.records.event(
            EVENT_KINDS.get(event.kind, EventKind.DEVICE), event.text, Severity(event.severity), asset=asset
        )

    def _tell_start(self) -> None:
        saved = self._store.saved
        if saved.damaged or saved.failure:
            text = saved.failure or "the database was damaged and moved aside; a new one was begun"
            log.error(text)
            self.records.event(EventKind.STORAGE, text, Severity.ALARM)
        how = "after an unclean stop" if saved.unclean else "after a clean stop"
        how = how if saved.meta else "for the first time"
        self.records.event(EventKind.RESTART, f"started {how}, version {documents.own_version()}")

    # --- made from the configuration --------------------------------------------------------------------

    @property
    def _offset_s(self) -> int:
        """The second at which minutes end: as configured, else as drawn."""
        configured = self.home.config.reporting.offset_s
        return self.drawn.offset_s if configured is None else configured

    def _take_reporting(self) -> None:
        """How minutes are cut and sent from now on; one of 1 to 119 s joins an old grid and a new one."""
        self.outbox.bundle = self.home.config.reporting.bundle
        self.minutes.offset_s = self._offset_s
        self.outbox.flush()

    def _uplink(self) -> Uplink | None:
        section, site = self.home.config.uplink, self.home.config.site.id
        if section is None:
            return None
        lost = encode(Presence(site=site, online=False, boot=self._boot, reason="lost"))
        will = Will(f"homeflex/v1/{site}/presence", lost)
        self.post.uplink = Uplink(
            _settings(section, site, self._password),
            subscriptions(site, has_root=self.keys.root is not None),
            self.post,
            will=will,
        )
        return self.post.uplink


def _settings(section: UplinkSection, site: str, password: str | None) -> UplinkSettings:
    tls = section.tls
    return UplinkSettings(
        host=section.host,
        port=section.port,
        client_id=f"homeflex-{site}",
        tls=Tls(
            cafile=str(tls.ca),
            certfile=str(tls.certificate) if tls.certificate else None,
            keyfile=str(tls.key) if tls.key else None,
        )
        if tls
        else None,
        username=section.username,
        password=password,
    )
