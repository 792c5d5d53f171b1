"""What is told of an instruction is kept when it was summed up, and outlives what is remembered of its id."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.core.eligibility import Home as Rules
from gateway.core.life import Entry, Life, Response, Setting, Status, Target
from gateway.core.model import Instruction, Kind, Plan, Scope, Step
from gateway.daemon import codec
from gateway.daemon.clock import Clock, Discipline
from gateway.daemon.desk import Desk
from gateway.daemon.home import Home
from gateway.daemon.outbox import Outbox
from gateway.daemon.records import Records
from gateway.daemon.store import Store
from gateway.daemon.windows import Windows
from gateway.wire.keys import KeyRing
from tests.daemon.configuration import parsed

UTC_S = 1_795_453_200.0


def running() -> Entry:
    """A block of the pump that has been followed; its window ends at 1800 s."""
    step = Step(UTC_S, UTC_S + 1800, Kind.CAP, 0)
    scope = Scope(("asset:heat",), ("heat",))
    life = Life(
        "heat",
        Status.STARTED,
        setting=Setting(UTC_S + 1, 0, raised=False, read_back=True),
        response=Response(UTC_S + 7, 30.0, "hp.power_w"),
    )
    return Entry(
        "i1", 0, "ab", UTC_S - 60, UTC_S, lives=(life,), targets=(Target("asset:heat", ("heat",)),),
        instruction=Instruction("i1", 0, "bm", "response", 0, UTC_S - 60, scope, (step,)),
        window_utc_s=(UTC_S, UTC_S + 1800), accepted_utc_s=UTC_S - 60,
    )  # fmt: skip


async def test_it_is_kept_with_its_summary_and_is_there_when_its_id_is_forgotten(tmp_path: Path) -> None:
    now_s = 1790.0

    def monotonic() -> float:
        return now_s

    clock = Clock(wall=lambda: UTC_S + now_s, monotonic=monotonic, discipline=lambda: Discipline(True, 0.01))
    async with Store.open(tmp_path / "store.db") as store:
        home, outbox = Home(parsed(), monotonic), Outbox(store.saved.stream, {})
        records = Records("home-7f3a", "boot-boot-bo", store, outbox, clock)
        rules = Rules(home.config.assets, has_boundary_meter=True)
        desk = Desk(home, lambda: rules, lambda: KeyRing(), records, clock, Windows(None), [running()])

        async def look(at_s: float) -> list[tuple[str, bytes]]:
            nonlocal now_s
            now_s = at_s
            clock.check()
            snapshot = home.snapshot(clock.utc_s(), trusted=True, instructions=desk.open_instructions())
            desk.progressed(snapshot, Plan())
            for _ in range(3):
                await asyncio.sleep(0)
            return await store.evidence("i1")

        assert await look(1795.0) == []
        assert await look(1801.0) == [], "it has ended, and is not summed up yet"
        ((_, blob),) = await look(1870.0)
        (packed,) = codec.unpack(blob)
        kept = codec.decode("entry", packed)
        assert kept.lives[0].status is Status.SUCCEEDED
        assert (kept.lives[0].setting, kept.lives[0].response) == (
            running().lives[0].setting,
            running().lives[0].response,
        )
        for hours in range(1, 400):
            await look(1870.0 + 3600.0 * hours)
        assert desk.book.entry("i1") is None, "its id is free again"
        assert len(await store.evidence("i1")) == 1
    async with Store.open(tmp_path / "store.db") as store:
        assert store.saved.entries == {}
        assert [id_ for id_, _ in await store.evidence("")] == ["i1"]
