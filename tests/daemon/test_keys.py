"""The trust store in force against a model of the rule: versions, bodies, restarts, and a disk that is late.

Messages are signed with the cipher itself, as in tests/wire/test_signature.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.inbound import Inbound
from gateway.daemon.keys import Keys
from gateway.daemon.store import Change, PutMeta, StorageError, Store
from gateway.wire.event import EventKind, Severity
from gateway.wire.keys import KeyRing, Root, parse_keys, root_of
from tests.wire.bodies import SITE, moment
from tests.wire.test_signature import ROOTED, key, token, x_of

SECRETS = [bytes([n]) * 32 for n in (1, 2)]
ROOTS = [root_of(x_of(secret)) for secret in SECRETS]
STRANGER = bytes([3]) * 32
UTC_S = 1_795_453_200.0  # 2026-11-23T17:00:00Z
DAY_S = 86_400
LONG = {"notBefore": "2020-01-01T00:00:00Z", "notAfter": "2100-01-01T00:00:00Z"}
BODIES = {
    "old": [key("one", bytes([11]) * 32, **LONG)],
    "both": [key("one", bytes([11]) * 32, **LONG), key("two", bytes([12]) * 32, **LONG)],
    "new": [key("two", bytes([12]) * 32, **LONG)],
}


@dataclass(frozen=True)
class Document:
    """A trust store as somebody wrote it. `blanks` are other bytes that say the same."""

    version: int
    body: str
    blanks: int = 0

    @property
    def bytes(self) -> bytes:
        store = {"schema": "homeflex.keys.v1", "site": SITE, "version": self.version}
        return json.dumps({**store, "keys": BODIES[self.body]}).encode() + b" " * self.blanks

    @property
    def kids(self) -> list[str]:
        return [str(one["kid"]) for one in BODIES[self.body]]


@functools.cache
def signed(document: Document, secret: bytes) -> bytes:
    return token(ROOTED, document.bytes, secret)


@functools.cache
def ring(document: Document | None) -> KeyRing | None:
    return parse_keys(document.bytes, SITE) if document else None


@dataclass
class Events:
    """Who hears what happened."""

    told: list[tuple[EventKind, str, Severity, int]] = field(default_factory=list)

    def event(
        self, kind: EventKind, text: str, severity: Severity = Severity.INFO, *, count: int | None = None
    ) -> None:
        self.told.append((kind, text, severity, count or 1))

    def take(self) -> list[tuple[EventKind, str, Severity, int]]:
        told, self.told = self.told, []
        return told


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.is_set = True

    def clock(self) -> Clock:
        return Clock(
            wall=lambda: UTC_S + self.s,
            monotonic=lambda: self.s,
            discipline=lambda: Discipline(self.is_set, 0.01),
        )


class Disk:
    """A disk that takes and answers when it is told to; a crash loses what it has not taken."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.meta: dict[str, bytes] = {}
        self.asked: list[tuple[PutMeta, asyncio.Future[tuple[int, ...]]]] = []
        self.taken: list[asyncio.Future[tuple[int, ...]]] = []
        self._loop = loop

    def submit(self, *changes: Change) -> asyncio.Future[tuple[int, ...]]:
        (change,) = changes
        assert isinstance(change, PutMeta)
        future: asyncio.Future[tuple[int, ...]] = self._loop.create_future()
        self.asked.append((change, future))
        return future

    def takes(self) -> bytes:
        change, future = self.asked.pop(0)
        self.meta[change.key] = change.blob
        self.taken.append(future)
        return change.blob

    def answers(self) -> None:
        self.taken.pop(0).set_result(())
        self.turn()

    def fails(self) -> None:
        self.asked.pop(0)[1].set_exception(StorageError("the disk is full"))
        self.turn()

    def turn(self) -> None:
        self._loop.run_until_complete(asyncio.sleep(0))


AHEAD = st.sampled_from([-1, 0, 0, 0, 1, 1])  # of the highest version known
BODY = st.sampled_from(["the same", "the same", *BODIES])
SIGNER = st.sampled_from([*[SECRETS[0]] * 6, SECRETS[1], STRANGER])
LOCAL = st.tuples(AHEAD, BODY) | st.none()


class Rule(RuleBasedStateMachine):
    """What is in force, restated: the higher version of the local file and of what the disk said it has."""

    @initialize(has_file=st.booleans())
    def begin(self, has_file: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.time = Time()
        self.on_disk: tuple[Document, int] | None = None  # and by which root
        self.disk = Disk(self.loop)
        self.serials = 0
        self.begin_run(Document(1, "old", 9) if has_file else None, 0)

    def begin_run(self, local: Document | None, root: int) -> None:
        self.local, self.root, self.first = local, root, self.serials + 1
        self.remote = self.on_disk[0] if self.on_disk and self.on_disk[1] == root else None
        self.accepted: Document | None = None
        self.asked: list[Document] = []  # of the disk, in order
        self.taken: list[Document] = []
        self.open: set[int] = set()  # serials that may not be acknowledged yet
        self.acknowledged: list[int] = []
        self.refused: defaultdict[str, tuple[float, int]] = defaultdict(lambda: (-1e9, 0))
        self.disk.asked, self.disk.taken = [], []
        self.events = Events()
        saved = dict(self.disk.meta)
        self.keys = Keys(
            SITE, ROOTS[root], ring(local), saved, self.disk.submit, self.events, self.time.clock()
        )
        self.keys.acknowledge = lambda inbound: self.acknowledged.append(inbound.serial)
        lost = self.on_disk is not None and self.remote is None
        assert [kind for kind, *_ in self.events.take()] == [EventKind.SECURITY] * lost

    @property
    def in_force(self) -> tuple[Document, str] | None:
        found = [
            (d.version, source, d) for d, source in ((self.local, "local"), (self.remote, "remote")) if d
        ]
        if not found:
            return None
        top = max(version for version, _, _ in found)
        _, source, document = min(one for one in found if one[0] == top)  # "local" before "remote"
        return document, source

    @property
    def known(self) -> Document | None:
        found = [d for d in (self.local, self.remote, self.accepted) if d]
        return max(found, key=lambda d: (d.version, d is self.local), default=None)

    def written(self, ahead: int, body: str, blanks: int) -> Document:
        known = self.known or Document(1, "old")
        return Document(max(1, known.version + ahead), known.body if body == "the same" else body, blanks)

    @rule(ahead=AHEAD, body=BODY, blanks=st.sampled_from([0, 0, 0, 1]), signer=SIGNER)
    def arrives(self, ahead: int, body: str, blanks: int, signer: bytes) -> None:
        document, known = self.written(ahead, body, blanks), self.known
        self.serials += 1
        before = self.in_force
        self.keys.message(Inbound(self.serials, "keys", signed(document, signer), True))
        if signer != SECRETS[self.root]:
            self.expect_refusal("INVALID_SIGNATURE", EventKind.SECURITY)
        elif known is None or document.version > known.version:
            self.accepted = document
            self.asked.append(document)
            self.open.add(self.serials)
        elif document.version < known.version:
            self.expect_refusal("lower", EventKind.SECURITY)
        elif document.body != known.body or (known is not self.local and document.blanks != known.blanks):
            self.expect_refusal("another body", EventKind.TAMPER)
        elif known is self.accepted and (self.asked or self.taken) and len(self.open) < 16:
            self.open.add(self.serials)  # it has effect no sooner than the first
        assert self.events.take() == [], "nothing else is told"
        assert self.in_force == before, "nothing counts before it is on the disk"

    def expect_refusal(self, word: str, kind: EventKind) -> None:
        told_s, waiting = self.refused[word]
        if self.time.s - told_s < 10:
            self.refused[word] = told_s, waiting + 1
            return
        self.refused[word] = self.time.s, 0
        told = self.events.told.pop()
        assert (told[0], told[3]) == (kind, waiting + 1)
        assert word in told[1]

    @rule()
    def disk_takes(self) -> None:
        if self.asked:
            document = self.asked.pop(0)
            assert self.disk.takes() == signed(document, SECRETS[self.root])
            self.on_disk = document, self.root
            self.taken.append(document)

    @rule()
    def disk_answers(self) -> None:
        if not self.taken:
            return
        before = self.in_force
        self.disk.answers()
        self.remote = self.taken.pop(0)
        self.settle()
        if self.accepted == self.remote:
            self.accepted = None
        self.expect_change(before)

    @rule()
    def disk_fails(self) -> None:
        if self.asked and not self.taken:  # it answers in order
            self.disk.fails()
            self.asked.pop(0)
            self.settle()

    def settle(self) -> None:
        """When the disk has answered all, nobody waits for it."""
        if not self.asked and not self.taken:
            self.open.clear()

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.time.s += seconds
        asked = len(self.disk.asked)
        self.keys.look()
        if len(self.disk.asked) > asked:
            assert self.accepted, "only what was accepted is tried again"
            assert not self.asked
            assert not self.taken
            self.asked.append(self.accepted)

    @rule(local=LOCAL)
    def file_changes(self, local: tuple[int, str] | None) -> None:
        before = self.in_force
        self.local = self.written(*local, 9) if local else None
        self.keys.take_local(ring(self.local))
        self.expect_change(before)

    @rule(local=LOCAL, root=st.sampled_from([0, 0, 0, 1]))
    def crash(self, local: tuple[int, str] | None, root: int) -> None:
        self.begin_run(self.written(*local, 9) if local else None, root)

    def expect_change(self, before: tuple[Document, str] | None) -> None:
        """An event where other keys or another version count, with the kids that came and went."""
        told = self.events.take()
        was, now = (one[0] if one else None for one in (before, self.in_force))
        if now is None or (was and (was.version, was.body) == (now.version, now.body)):
            assert told == []
            return
        ((kind, text, severity, _),) = told
        assert (kind, severity) == (EventKind.SECURITY, Severity.INFO)
        old = was.kids if was else []
        came = ", ".join(kid for kid in now.kids if kid not in old)
        went = ", ".join(kid for kid in old if kid not in now.kids)
        words = [f"{came} came"] * bool(came) + [f"{went} went"] * bool(went) or ["the same keys"]
        assert text == f"trust store version {now.version} in force: {'; '.join(words)}"

    @invariant()
    def what_counts_is_what_the_rule_says(self) -> None:
        held = self.keys.in_force
        if self.in_force is None:
            assert held is None
            assert self.keys.ring().keys == {}
            return
        document, source = self.in_force
        assert held
        assert (held.ring.version, held.source) == (document.version, source)
        assert list(self.keys.ring().keys) == document.kids

    @invariant()
    def each_message_is_acknowledged_once_when_it_has_effect_or_none(self) -> None:
        assert len(set(self.acknowledged)) == len(self.acknowledged)
        assert set(range(self.first, self.serials + 1)) - set(self.acknowledged) == self.open

    @invariant()
    def the_disk_is_asked_for_what_was_accepted_and_nothing_else(self) -> None:
        wanted = [signed(document, SECRETS[self.root]) for document in self.asked]
        assert [change.blob for change, _ in self.disk.asked] == wanted

    def teardown(self) -> None:
        with contextlib.closing(self.loop):
            self.recover()

    def recover(self) -> None:
        """A disk that works again gets what was accepted, and that counts."""
        for _ in range(2):
            while self.asked:
                self.disk_takes()
            while self.taken:
                self.disk_answers()
            self.time_passes(11.0)
        assert self.accepted is None
        assert not self.open
        self.what_counts_is_what_the_rule_says()


TestRule = Rule.TestCase
TestRule.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


# --- on a real disk ---------------------------------------------------------------------------------------


@dataclass
class Home:
    """One run of a home with a store on the disk."""

    keys: Keys
    events: Events
    acknowledged: asyncio.Queue[Inbound]

    async def hears(self, payload: bytes) -> None:
        """Take a message and wait until it is acknowledged."""
        self.keys.message(Inbound(1, "keys", payload, True))
        await asyncio.wait_for(self.acknowledged.get(), 15)

    @property
    def stands(self) -> tuple[int, str] | None:
        held = self.keys.in_force
        return (held.ring.version, held.source.value) if held else None


def run(store: Store, *, root: Root | None = ROOTS[0], local: Document | None = None) -> Home:
    events, acknowledged = Events(), asyncio.Queue[Inbound]()
    keys = Keys(SITE, root, ring(local), store.saved.meta, store.submit, events, Time().clock())
    keys.acknowledge = acknowledged.put_nowait
    return Home(keys, events, acknowledged)


V2 = Document(2, "both")


async def test_what_was_taken_from_afar_is_in_force_after_a_restart(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "a.db") as store:
        home = run(store, local=Document(1, "old"))
        await home.hears(signed(V2, SECRETS[0]))
        assert home.stands == (2, "remote")
    async with Store.open(tmp_path / "a.db") as store:
        assert run(store, local=Document(1, "old")).stands == (2, "remote")
        assert run(store, local=Document(2, "new")).stands == (2, "local")
        assert run(store, local=Document(3, "old")).stands == (3, "local")


async def test_with_another_root_what_was_kept_counts_no_more_until_that_one_is_pinned_again(
    tmp_path: Path,
) -> None:
    async with Store.open(tmp_path / "a.db") as store:
        await run(store).hears(signed(V2, SECRETS[0]))
    async with Store.open(tmp_path / "a.db") as store:
        home = run(store, root=ROOTS[1], local=Document(1, "old"))
        assert home.stands == (1, "local")
        ((kind, text, severity, _),) = home.events.told
        assert (kind, severity) == (EventKind.SECURITY, Severity.WARNING)
        assert text == "the trust store kept from afar does not count any more: INVALID_SIGNATURE"
        assert run(store, root=None, local=Document(1, "old")).stands == (1, "local")
        assert run(store).stands == (2, "remote")


async def test_a_disk_that_does_not_take_it_leaves_the_former_in_force(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as store:  # a folder is no file
        home = run(store, local=Document(1, "old"))
        await home.hears(signed(V2, SECRETS[0]))
        assert home.stands == (1, "local")


def test_of_two_that_wait_for_the_disk_the_one_it_did_not_take_is_tried_again() -> None:
    loop, time = asyncio.new_event_loop(), Time()
    with contextlib.closing(loop):
        disk = Disk(loop)
        keys = keys_of(disk, Events(), None, time=time)
        keys.message(Inbound(1, "keys", signed(V2, SECRETS[0]), True))
        keys.message(Inbound(2, "keys", signed(Document(3, "new"), SECRETS[0]), True))
        disk.takes()
        disk.answers()
        disk.fails()
        assert keys.ring().version == 2
        keys.look()
        assert disk.asked == [], "not at once"
        time.s += 5
        keys.look()
        disk.takes()
        disk.answers()
        assert keys.ring().version == 3


# --- what is told -----------------------------------------------------------------------------------------


@pytest.fixture
def disk() -> Iterator[Disk]:
    loop = asyncio.new_event_loop()
    yield Disk(loop)
    loop.close()


def keys_of(
    disk: Disk, events: Events, local: KeyRing | None, *, time: Time, saved: Mapping[str, bytes] | None = None
) -> Keys:
    return Keys(SITE, ROOTS[0], local, saved or {}, disk.submit, events, time.clock())


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (signed(V2, STRANGER), "keys refused: INVALID_SIGNATURE"),
        (token({**ROOTED, "kid": "one"}, V2.bytes, SECRETS[0]), "keys refused: INVALID_SIGNATURE"),
        (V2.bytes, "keys refused: INVALID_SIGNATURE"),
        (b"noise", "keys refused: INVALID_MESSAGE"),
        (b"x" * 65_537, "keys refused: TEMPORARY_ERROR"),
        (token(ROOTED, b"[]", SECRETS[0]), "keys refused: INVALID_MESSAGE"),
        (
            token(ROOTED, V2.bytes.replace(SITE.encode(), b"another"), SECRETS[0]),
            "keys refused: INVALID_CONTENT: site: must be home-7f3a, the site of this topic",
        ),
    ],
)
def test_what_is_refused_is_told_in_the_contracts_word_and_once_in_ten_seconds(
    disk: Disk, payload: bytes, text: str
) -> None:
    events, time, acknowledged = Events(), Time(), []
    keys = keys_of(disk, events, ring(Document(1, "old")), time=time)
    keys.acknowledge = lambda inbound: acknowledged.append(inbound.serial)
    for serial in range(4):
        keys.message(Inbound(serial, "keys", payload, True))
    time.s += 10
    keys.message(Inbound(4, "keys", payload, True))
    assert events.told == [
        (EventKind.SECURITY, text, Severity.WARNING, 1),
        (EventKind.SECURITY, text, Severity.WARNING, 4),
    ]
    assert acknowledged == [0, 1, 2, 3, 4]
    assert keys.ring().version == 1
    assert disk.asked == []


def test_a_flood_of_forgeries_does_not_hide_a_store_that_was_tampered_with(disk: Disk) -> None:
    events, time = Events(), Time()
    keys = keys_of(disk, events, None, time=time)
    keys.message(Inbound(1, "keys", signed(V2, SECRETS[0]), True))
    disk.takes()
    disk.answers()
    events.take()
    for serial in range(2, 20):
        keys.message(Inbound(serial, "keys", signed(V2, STRANGER), True))
    keys.message(Inbound(20, "keys", signed(Document(2, "old"), SECRETS[0]), True))
    keys.message(Inbound(21, "keys", signed(Document(1, "old"), SECRETS[0]), True))
    assert [(kind, text) for kind, text, *_ in events.told] == [
        (EventKind.SECURITY, "keys refused: INVALID_SIGNATURE"),
        (EventKind.TAMPER, "keys refused: version 2 came again with another body"),
        (EventKind.SECURITY, "keys refused: version 1 is lower than 2"),
    ]


def test_a_retained_store_that_is_taken_away_changes_and_tells_nothing(disk: Disk) -> None:
    events, acknowledged = Events(), []
    keys = keys_of(disk, events, ring(V2), time=Time())
    keys.acknowledge = lambda inbound: acknowledged.append(inbound.serial)
    keys.message(Inbound(7, "keys", b"", True))
    assert (events.told, acknowledged, keys.ring().version) == ([], [7], 2)


def test_many_kids_that_come_are_named_up_to_eight(disk: Disk) -> None:
    many = [key(f"k{n}", bytes([n + 20]) * 32, **LONG) for n in range(12)]
    body = json.dumps({"schema": "homeflex.keys.v1", "site": SITE, "version": 9, "keys": many}).encode()
    events = Events()
    keys = keys_of(disk, events, ring(V2), time=Time())
    keys.take_local(parse_keys(body, SITE))
    ((_, text, _, _),) = events.told
    assert text == (
        "trust store version 9 in force: k0, k1, k2, k3, k4, k5, k6, k7, 4 more came; one, two went"
    )


# --- keys that expire -------------------------------------------------------------------------------------


def ending(*ends: tuple[str, float]) -> KeyRing:
    """A store with keys of these roles that expire in so many days."""
    now_s = UTC_S + Time().s
    keys = [
        key(
            f"k{n}",
            bytes([n + 20]) * 32,
            role,
            notBefore="2026-01-01T00:00:00Z",
            notAfter=moment(now_s + days * DAY_S),
        )
        for n, (role, days) in enumerate(ends)
    ]
    body = json.dumps({"schema": "homeflex.keys.v1", "site": SITE, "version": 1, "keys": keys})
    return parse_keys(body.encode(), SITE)


@pytest.mark.parametrize(
    ("ends", "warns"),
    [
        ([("dispatch", 13.9)], True),
        ([("dispatch", 14.1)], False),
        ([("dispatch", 2), ("dispatch", 13)], True),
        ([("dispatch", 2), ("dispatch", 40)], False),
        ([("dispatch", 2), ("read", 40)], True),
        ([("read", 2)], False),
        ([("dispatch", -1)], True),
        ([], False),
    ],
)
def test_a_warning_comes_when_the_last_dispatch_key_expires_within_two_weeks(
    disk: Disk, ends: list[tuple[str, float]], warns: bool
) -> None:
    events = Events()
    keys = keys_of(disk, events, ending(*ends), time=Time())
    keys.look()
    assert [(kind, severity) for kind, _, severity, _ in events.told] == (
        [(EventKind.SECURITY, Severity.WARNING)] * warns
    )
    if warns:
        last = max(days for role, days in ends if role == "dispatch")
        assert moment(UTC_S + Time().s + last * DAY_S) in events.told[0][1]


def test_the_warning_comes_once_a_day_over_restarts_too_and_not_by_an_untrusted_clock(disk: Disk) -> None:
    time = Time()
    told: list[float] = []
    for _ in range(6):  # a run of twelve hours each
        events = Events()
        keys = keys_of(disk, events, ending(("dispatch", 5)), time=time, saved=disk.meta)
        for _ in range(12):
            keys.look()
            told += [time.s for _ in events.take()]
            time.s += 3600
            while disk.asked:
                disk.takes()
    assert [(at_s - told[0]) / 3600 for at_s in told] == [0, 24, 48]

    blind = Time()
    blind.is_set = False
    keys = keys_of(disk, events, ending(("dispatch", 5)), time=blind)
    keys.look()
    assert events.told == []
