"""The composition root: a configuration in, a running daemon out.

Start, hot reload (SIGHUP) and stop are the same `reconcile` of the fleet. One TaskGroup owns every task.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom

import structlog

from drivers import registry
from drivers.base import DeviceEvent, Driver, Links
from gateway.answers import Answers
from gateway.console import local_socket
from gateway.core.eligibility import Home as Rules
from gateway.core.memory import override
from gateway.core.model import Governor, Plan, Reason, Snapshot
from gateway.daemon import documents, outbox
from gateway.daemon.clock import BUILT_UTC_S, Clock, Trust
from gateway.daemon.config import Config, ConfigError, Device, parse
from gateway.daemon.desk import Desk
from gateway.daemon.facts import StoredFacts
from gateway.daemon.fleet import Fleet
from gateway.daemon.home import Home
from gateway.daemon.limits import limits_of
from gateway.daemon.log import set_up_log
from gateway.daemon.loop import Loop
from gateway.daemon.minutes import Minutes
from gateway.daemon.notify import Notify
from gateway.daemon.outbox import Outbox
from gateway.daemon.post import Post, subscriptions
from gateway.daemon.recollection import Recollection
from gateway.daemon.records import Records
from gateway.daemon.sections import UplinkSection
from gateway.daemon.store import PutMeta, StorageError, Store
from gateway.daemon.uplink import Tls, Uplink, UplinkSettings, Will
from gateway.daemon.windows import Windows
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing, parse_keys
from gateway.wire.message import encode
from gateway.wire.reception import Unacceptable
from gateway.wire.state import Presence

log = structlog.get_logger()

GIVE_BACK_S = 10.0  # how long a stop, a reload, or `release` without a daemon tries to reach a device
GIVE_BACK_LOOK_S, GIVE_BACK_ASK_EACH = 0.05, 50
STAYS_ON_LEASE_S = 900.0  # a device that falls back alone within this is left as it is at a stop
LIMITS_EVERY_S = 86_400.0  # weekly times are laid out for nine days
WRITER_SLOW_S = 60.0  # a disk that has not answered for so long is not alive
TURN_SLOW_S = 10.0  # nor is a loop that has not turned
DATABASE = "homeflex.db"
EVENT_KINDS = {"deviceLost": EventKind.DEVICE_LOST, "deviceBack": EventKind.DEVICE_BACK}


def run(config_file: Path, *, json_log: bool = False) -> int:
    """Run the daemon until a signal; the exit code."""
    set_up_log(as_json=json_log)
    try:
        config = read(config_file)
        keys, password = read_keys(config), read_password(config)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{config_file}: {error}\n")
        return 1
    asyncio.run(_serve(config_file, config, keys, password))
    return 0


def read(config_file: Path) -> Config:
    """The configuration in a file.

    Raises:
        ConfigError: every problem at once.
        OSError: it cannot be read.
    """
    return parse(config_file.read_text(encoding="utf-8"), registry.kind, config_file.resolve().parent)


def read_keys(config: Config) -> KeyRing:
    """The trust store the configuration names; without one nobody is trusted.

    Raises:
        ConfigError: it cannot be read or used.
    """
    if config.security.keys is None:
        return KeyRing()
    try:
        return parse_keys(config.security.keys.read_bytes(), config.site.id)
    except OSError as error:
        raise ConfigError((f"security.keys: {error}",)) from error
    except Unacceptable as error:
        raise ConfigError((f"security.keys: {config.security.keys}: {error.text}",)) from error


def read_password(config: Config) -> str | None:
    """The password for the aggregator's broker, if one is configured.

    Raises:
        ConfigError: its file cannot be read.
    """
    if config.uplink is None or config.uplink.password_file is None:
        return None
    try:
        return config.uplink.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((f"uplink.password_file: {error}",)) from error


def check(config_file: Path) -> tuple[str, ...]:
    """Every problem of a configuration file and of the files it names for the uplink; none if it is good."""
    try:
        config = read(config_file)
    except ConfigError as error:
        return error.problems
    except (OSError, UnicodeDecodeError) as error:
        return (str(error),)
    problems: list[str] = []
    for read_more in (read_keys, read_password):
        try:
            read_more(config)
        except ConfigError as error:
            problems += error.problems
    return tuple(problems)


def release(config_file: Path, asset: str | None) -> dict[str, str]:
    """Give devices back to their owner without a daemon: each control device is told so, once."""
    try:
        config = read(config_file)
    except (ConfigError, OSError) as error:
        return {"error": str(error)}
    controls = [a.control for a in config.assets if a.control and asset in (None, a.id)]
    if not controls:
        return {"error": f"no asset {asset or ''} that can be held"}
    missed = asyncio.run(_release(config, controls))
    if missed:
        return {"error": f"not given back: {', '.join(missed)}"}
    return {"done": f"given back: {', '.join(controls)}"}


def open_driver(device: Device, links: Links) -> Driver:
    """The driver of a configured device."""
    return registry.kind(device.driver).open(device.settings, links)


async def give_back(fleet: Fleet, home: Home, controls: Iterable[str]) -> list[str]:
    """Ask devices to be their owner's until they say so; the ones that did not in time."""
    waiting = list(controls)
    for device in waiting:
        home.evidence.pop(device, None)
    for look in range(int(GIVE_BACK_S / GIVE_BACK_LOOK_S)):
        waiting = [device for device in waiting if not home.holds(device, None)]
        if not waiting:
            break
        if look % GIVE_BACK_ASK_EACH == 0:
            for device in waiting:
                fleet.want(device, None)
        await asyncio.sleep(GIVE_BACK_LOOK_S)
    return waiting


async def _release(config: Config, controls: list[str]) -> list[str]:
    config.paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with Store.open(config.paths.state / DATABASE) as store:
        clock = Clock()
        home = Home(config, clock.monotonic_s)
        async with Fleet(open_driver, StoredFacts(store).of, home, clock) as fleet:
            await fleet.reconcile({name: config.devices[name] for name in controls})
            return await give_back(fleet, home, controls)


async def _serve(config_file: Path, config: Config, keys: KeyRing, password: str | None) -> None:
    config.paths.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with Store.open(config.paths.state / DATABASE) as store:
        daemon = Daemon(config_file, config, keys, password, store)
        async with daemon.fleet:
            await daemon.run()


class Daemon:
    """Everything that runs, put together."""

    def __init__(
        self, config_file: Path, config: Config, keys: KeyRing, password: str | None, store: Store
    ) -> None:
        saved = store.saved
        self._file = config_file
        self._store = store
        self._keys = keys
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
        offset_s = self._offset_s()
        self.minutes = Minutes(home, self.outbox, clock, self.windows, offset_s, saved.meta)
        entries = self._recollection.entries()
        self.desk = Desk(home, self.rules, self.keys, self.records, clock, self.windows, entries)
        self.post = Post(config.site.id, self._boot, store, self.outbox, self.records, clock)
        self.fleet = Fleet(open_driver, StoredFacts(store).of, home, clock)
        self.loop = Loop(home, self.fleet, clock, self.desk.open_instructions, self._decided)
        self._availability = documents.AvailabilityNews()
        self._notify = Notify()
        self._stop = asyncio.Event()
        self._limits_s = float("-inf")
        self._alive_s = float("-inf")
        self._trusted = clock.trusted
        self._limited: frozenset[str] = frozenset()
        self._introduce()

    def _introduce(self) -> None:
        """Let the parts know each other."""
        self.home.wake = self.loop.wake
        self.home.on_points = self.minutes.points
        self.home.on_event = self._device_event
        self.windows.energy_ws = self.minutes.energy_ws
        self.windows.power_w = self.minutes.power_w
        self.windows.save = self._store.submit
        self.desk.act = self.loop.act
        self.desk.acknowledge = self.post.acknowledge
        self.post.on_dispatch = self.desk.message
        self.post.offset_s = lambda: self.minutes.offset_s
        self.post.state = lambda: documents.state_of(self.home, self.clock, self._boot, self.minutes.offset_s)

    def rules(self) -> Rules:
        """What the life of instructions needs of the configuration."""
        config = self.home.config
        return Rules(
            assets=config.assets,
            has_boundary_meter=config.boundary is not None,
            allow_excludes=frozenset(config.services.lift_excludes),
            default_start_delay_s=config.delays.default_start_s,
            default_end_delay_s=config.delays.default_end_s,
        )

    def keys(self) -> KeyRing:
        """The keys that are trusted now."""
        return self._keys

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the first signal; a second one aborts."""
        self._take_signals()
        self._tell_start()
        self._lay_out_limits()
        answers = Answers(self.home, self.clock, self.desk, self.post, self.minutes, self.override)
        uplink = self._uplink()
        async with (
            local_socket.serve(self.home.config.paths.socket, answers.answer),
            asyncio.TaskGroup() as group,
        ):
            deciding = group.create_task(self._decide(), name="loop")
            tasks = [
                group.create_task(self._housekeep(), name="housekeeping"),
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
        await self._close_minutes()
        self.outbox.flush()
        self._recollection.save(self.home.memory, self.clock, now=True)
        await self._commit()
        await self.post.stop()
        await self._commit()
        if uplink:
            await uplink.close()
        log.info("stopped")

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_asked)
        loop.add_signal_handler(signal.SIGHUP, self._reload_asked)

    def _stop_asked(self) -> None:
        if self._stop.is_set():
            raise SystemExit(1)
        self._stop.set()

    def _reload_asked(self) -> None:
        self._reloading = asyncio.create_task(self.reload(), name="reload")

    async def reload(self) -> None:
        """Take the configuration file as it is now: devices whose part changed are touched, no others."""
        was = self.home.config
        try:
            config = read(self._file)
            keys = read_keys(config)
        except (ConfigError, OSError) as error:
            log.error("configuration not taken, the former stays in force", error=str(error))
            return
        fixed = ("site", "paths", "uplink", "clock")
        if changed := [name for name in fixed if getattr(config, name) != getattr(was, name)]:
            log.error("configuration not taken: a restart is needed", changed=changed)
            return
        self.home.config, self._keys = config, keys
        self._lay_out_limits()
        self.minutes.reconfigure()
        await self.fleet.reconcile(config.devices)
        self.loop.wake()
        log.info("configuration taken", digest=config.digest[:12])

    # --- each second ------------------------------------------------------------------------------------

    async def _housekeep(self) -> None:
        while True:
            self._look_at_clock()
            if self.clock.monotonic_s() - self._limits_s > LIMITS_EVERY_S:
                self._lay_out_limits()
            await self._close_minutes()
            self.outbox.eager = any(e.is_open and e.is_decided for e in self.desk.book.current.values())
            await self._commit()
            self._recollection.save(self.home.memory, self.clock)
            self._describe()
            self._feed_watchdog()
            await asyncio.sleep(min(1.0, self.minutes.wait_s() + 0.01))

    async def _close_minutes(self) -> None:
        """Minutes that have ended: first the edge is safe, then they go."""
        if not self.minutes.cut():
            return
        with contextlib.suppress(StorageError):  # without a disk they go all the same
            await self._store.submit(*self.minutes.edge())
        self.minutes.put()
        self.records.wake()

    async def _commit(self) -> None:
        await outbox.commit(self.outbox, self._store, self.clock.monotonic_s(), self.minutes.edge)

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
        self.home.limits = limits_of(self.home.config, self.clock.utc_s())

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
        self.desk.progressed(snapshot, plan)
        self._tell_limits(plan)

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

    def override(self, asset: str | None, for_s: float) -> list[str]:
        """The household takes assets back for a while (s), or ends that with 0; the assets meant."""
        known = [a.id for a in self.home.config.assets if a.ability.holds and asset in (None, a.id)]
        for id_ in known:
            until_s = self.clock.monotonic_s() + for_s if for_s > 0 else None
            self.home.memory = override(self.home.memory, id_, until_s)
            ids = tuple(g.instruction for g in self.home.plan.given if g.asset == id_)
            self.records.event(
                EventKind.OVERRIDE,
                "taken back by the household" if until_s else "given back by the household",
                asset=id_,
                dispatch_ids=ids,
                reason=Reason.USER_OVERRIDE,
                until_utc_s=self.clock.utc_s() + for_s if until_s and self.clock.trusted else None,
            )
        self._recollection.save(self.home.memory, self.clock, now=True)
        self.loop.turn()
        return known

    def _device_event(self, device: str, event: DeviceEvent) -> None:
        asset = next((a.id for a in self.home.config.assets if a.control == device), None)
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
        self.records.event(EventKind.RESTART, f"started {how}, version {documents.own_version()}")

    # --- made from the configuration --------------------------------------------------------------------

    def _offset_s(self) -> int:
        """The second at which minutes end: as configured, else drawn once for this home."""
        configured = self.home.config.reporting.offset_s
        if configured is not None:
            return configured
        if saved := self._store.saved.meta.get("offset"):
            return int(saved)
        drawn = SystemRandom().randrange(60)
        self._store.submit(PutMeta("offset", str(drawn).encode()))
        return drawn

    def _uplink(self) -> Uplink | None:
        section, site = self.home.config.uplink, self.home.config.site.id
        if section is None:
            return None
        lost = encode(Presence(site=site, online=False, boot=self._boot, reason="lost"))
        will = Will(f"homeflex/v1/{site}/presence", lost)
        self.post.uplink = Uplink(
            _settings(section, site, self._password), subscriptions(site), self.post, will=will
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
