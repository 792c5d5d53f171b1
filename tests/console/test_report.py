"""Which instruction a report is of, and what is looked through for it: on a real store, against lists."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway import evidence
from gateway.core.life import Book, Entry, Life, Status, Target
from gateway.core.model import Instruction, Kind, Scope, Step
from gateway.daemon import codec
from gateway.daemon.change import AppendRow, PutEvidence
from gateway.daemon.history import History
from gateway.daemon.outbox import Outbox
from gateway.daemon.store import Store

UTC_S = 1_795_453_200.0
HOUR_S = 3600.0
LONDON = ZoneInfo("Europe/London")


def entry(id_: str, begin_s: float = 0.0, *, site: bool = False, status: Status = Status.STARTED) -> Entry:
    window = (UTC_S + begin_s, UTC_S + begin_s + HOUR_S)
    scope = Scope(("site",) if site else ("asset:ev",), ("ev",), site)
    instruction = Instruction(id_, 0, "bm", "response", 0, UTC_S, scope, (Step(*window, Kind.CAP, 1400),))
    return Entry(
        id_, 0, "ab", UTC_S, UTC_S, instruction=instruction, window_utc_s=window,
        accepted_utc_s=UTC_S + begin_s - 100, targets=(Target(scope.targets[0], ("ev",)),),
        lives=(Life("ev", status),),
    )  # fmt: skip


def told(id_: str, at_s: float, extent: str) -> AppendRow:
    line = {"asset": "ev", "status": "STARTED", "extent": extent, "limitKw": 1.4}
    body = {"schema": "homeflex.status.v1", "id": id_, "targets": [line]}
    return AppendRow("status", UTC_S + at_s, json.dumps(body).encode())


def summed(id_: str, at_s: float) -> AppendRow:
    asset = {"asset": "ev", "energyKwh": 1.25, "quality": "OK"}
    body = {"schema": "homeflex.summary.v1", "id": id_, "assets": [asset]}
    return AppendRow("status", UTC_S + at_s, json.dumps(body).encode())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "store.db") as store:
        yield store


async def report(
    store: Store, id_: object, *open_: Entry, past: tuple[Entry, ...] = (), at_s: float = 0.0
) -> Any:
    book = Book(current={e.id: e for e in open_}, past={e.id: e for e in past})
    history = History(store, Outbox(store.saved.stream, store.saved.heads))
    return await evidence.answer({"ask": "report", "id": id_}, book, history, LONDON, UTC_S + at_s)  # type: ignore[typeddict-item]


async def keep(store: Store, kept: Entry) -> None:
    await store.submit(PutEvidence(kept.id, UTC_S, codec.pack([codec.encode("entry", kept)])))


async def test_the_id_may_be_cut_where_it_stays_the_only_one(store: Store) -> None:
    await keep(store, entry("0193aa"))
    await keep(store, entry("0193bb"))
    here = entry("0194cc")
    assert (await report(store, "0193a", here))["id"] == "0193aa"
    assert (await report(store, "0194", here))["id"] == "0194cc"
    assert (await report(store, "0193", here))["error"] == "'0193' may be 0193aa, 0193bb"
    assert (await report(store, "7", here))["error"] == (
        "no instruction '7'; open and last ended: 0194cc, 0193bb, 0193aa"
    )
    assert "cannot be read" in (await report(store, "\ud800", here))["error"]
    for nothing in (None, "", 7, ["0193aa"]):
        assert "which instruction?" in (await report(store, nothing, here))["error"]


async def test_what_the_book_knows_is_younger_than_what_is_kept(store: Store) -> None:
    await keep(store, entry("i1"))
    known = entry("i1", status=Status.SUCCEEDED)
    assert (await report(store, "i1", past=(known,)))["assets"][0]["status"] == "SUCCEEDED"


async def test_a_whole_id_that_others_begin_with_is_meant(store: Store) -> None:
    for id_ in ("i1", *(f"i1{k}" for k in range(9))):
        await keep(store, entry(id_))
    assert (await report(store, "i1"))["id"] == "i1"
    assert "or more" not in (await report(store, "i11"))["id"]


async def test_what_cannot_be_read_is_said(store: Store) -> None:
    await store.submit(PutEvidence("i1", UTC_S, b"nonsense"))
    assert (await report(store, "i1"))["error"].startswith("what is kept of i1 cannot be read: pack")


async def test_one_that_is_to_come_has_no_minutes_yet(store: Store) -> None:
    told_of = await report(store, "i1", entry("i1", 2 * HOUR_S))
    assert told_of["points"] == []
    assert (await report(store, "i1", entry("i1", site=True), at_s=60))["points"] == ["ev", "boundary"]


async def test_its_own_statuses_are_found_among_others_and_its_energy(store: Store) -> None:
    rows = [told("other", -1000 + s, "none") for s in range(0, 900, 9)]
    rows += [told("i1", -100, ""), told("i1", 10, "full"), told("i1x", 11, "none"), told("i1", 20, "partial")]
    rows += [told("other", 21 + s, "none") for s in range(500)]
    rows += [
        replace(told("other", 2000, "none"), blob=told("other", 0, "none").blob.replace(b'"ev"', b'"i1"'))
    ]
    rows += [told("i1", 3000, "full"), summed("other", 3001), summed("i1", 3700)]
    await store.submit(*rows)
    found = await report(store, "i1", entry("i1"), at_s=4000)
    assert [stand["extent"] for stand in found["history"]] == ["", "full", "partial", "full"]
    assert found["history"][1]["limit_w"] == 1400
    assert (found["assets"][0]["energy_kwh"], found["assets"][0]["quality"]) == (1.25, "OK")


async def test_no_more_statuses_than_bearable_are_looked_through(store: Store) -> None:
    await store.submit(told("i1", 5, "full"), *(told("other", 6, "none") for _ in range(evidence.READ_MAX)))
    await store.submit(*(told("other", 7, "none") for _ in range(100)), summed("i1", 8))
    found = await report(store, "i1", entry("i1"))
    assert [stand["extent"] for stand in found["history"]] == ["full"]
    assert found["assets"][0]["energy_kwh"] is None


async def test_a_closed_store_is_an_answer(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        pass
    assert (await report(store, "i1", replace(entry("i1"))))["error"].startswith(
        "the evidence cannot be read"
    )
