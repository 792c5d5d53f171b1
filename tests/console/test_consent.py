"""What the household says of an instruction: as functions, and as commands to a real daemon whose journal
has instructions already."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from gateway import consent
from gateway.console import answers
from gateway.core.consent import OPTED_OUT
from gateway.core.delay import Delay
from gateway.core.eligibility import Home as Rules
from gateway.core.life import Book, Draws, Entry, Now, Status
from gateway.core.model import Ability, Asset, AssetClass, Kind, Order, Reason, Vector
from gateway.daemon import codec
from gateway.daemon.store import PutEntry, Store
from gateway.files import DATABASE
from tests.console.test_cli import CONFIG, Home
from tests.core.dispatching import HOUR, UTC, order, take
from tests.fakes.modbus import ModbusServer, Xtherma
from tests.faults.kill9 import Kill9

EV = Asset("ev", AssetClass.EV, 7360, Ability((0,)))
HEAT = Asset("heat", AssetClass.HEAT, 2400, Ability((0,)))
RULES = Rules((EV, HEAT), has_boundary_meter=True)


def now() -> Now:
    return Now(0.0, time.time(), True)


def asked(id_: str, start: float = -60.0, **more: Any) -> Order:
    """An order with times in seconds from now."""
    since = time.time() - UTC
    times = {"start": since + start, "end": since + start + HOUR, "issued": since, "expires": since + 900}
    fixed = {"targets": ("class:heat",), "start_delay": 0, "end_delay": 0}
    return order(id_, **{**fixed, **times, **more})


def book_of(*orders: Order) -> Book:
    book = Book()
    for message in orders:
        book = take(book, message, now(), RULES, Draws(0.5, 0.5)).book
    return book


# --- as functions -----------------------------------------------------------------------------------------


@dataclass
class Desk:
    """A desk that only listens."""

    book: Book
    saves: bool = True
    heard: list[object] = field(default_factory=list)
    delays: dict[str, Delay] = field(default_factory=dict)

    async def opt_out(self, id_: str, assets: Collection[str]) -> bool:
        """Note what was said."""
        self.heard.append((id_, list(assets)))
        return self.saves

    async def agree(self, id_: str) -> bool:
        """Note what was said."""
        self.heard.append(("agreed", id_))
        return self.saves

    async def skip_delay(self, ids: Collection[str]) -> bool:
        """Note what was said."""
        self.heard.append(list(ids))
        return self.saves

    def running_delay(self, id_: str) -> Delay | None:
        """As the test has it."""
        return self.delays.get(id_)


@dataclass
class Schedules:
    """Schedules that only listen."""

    skipped: list[str] = field(default_factory=list)

    def skip_delay(self, assets: Collection[str]) -> None:
        """Note what was said."""
        self.skipped += assets


TWO = book_of(asked("0193-aa", targets=("asset:ev", "asset:heat")), asked("0193-bb"))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({"id": "0193-aa"}, ("0193-aa", ["ev", "heat"])),
        ({"id": "0193-aa", "asset": "ev"}, ("0193-aa", ["ev"])),
        ({"id": "0193-b"}, ("0193-bb", ["heat"])),
    ],
)
async def test_who_opts_out_names_an_instruction_and_may_name_one_asset(
    said: Any, heard: tuple[str, list[str]]
) -> None:
    desk = Desk(TWO)
    answer = await consent.opt_out({"ask": "opt-out", **said}, desk)
    assert answer == (heard[1], f"opted out of {heard[0]}")
    assert desk.heard == [heard]


async def test_a_word_that_the_disk_has_not_taken_says_so() -> None:
    answer = await consent.opt_out({"ask": "opt-out", "id": "0193-bb"}, Desk(TWO, saves=False))
    assert not isinstance(answer, str)
    assert answer.what == "opted out of 0193-bb" + consent.UNSAVED


async def test_who_is_out_already_is_told_how_it_ended_and_nothing_is_done() -> None:
    entry = TWO.current["0193-bb"]
    desk = Desk(TWO.with_entry(_with_all_out(entry)))
    answer = await consent.opt_out({"ask": "opt-out", "id": "0193-bb"}, desk)
    gone = "no part in 0193-bb any more (ABORTED, userOverride: the household opted out)"
    assert (answer, desk.heard) == ((["heat"], gone), [])


def _with_all_out(entry: Entry) -> Entry:
    return replace(entry, lives=tuple(a.aborted(Reason.USER_OVERRIDE, OPTED_OUT) for a in entry.lives))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, "no instruction None; open: 0193-aa, 0193-bb"),
        ({"id": ["0193-aa"]}, "no instruction ['0193-aa']; open: 0193-aa, 0193-bb"),
        ({"id": ""}, "no instruction ''; open: 0193-aa, 0193-bb"),
        ({"id": "0199"}, "no instruction '0199'; open: 0193-aa, 0193-bb"),
        ({"id": "0193"}, "no one instruction '0193'; open: 0193-aa, 0193-bb"),
        ({"id": "0193-bb", "asset": "ev"}, "0193-bb is not about 'ev'; it is about heat"),
    ],
)
async def test_what_is_not_there_is_answered_with_what_is(said: Any, told: str) -> None:
    desk = Desk(TWO)
    assert await consent.opt_out({"ask": "opt-out", **said}, desk) == told
    assert not desk.heard


async def test_where_nothing_is_open_it_says_so() -> None:
    answer = await consent.opt_out({"ask": "opt-out", "id": "0193"}, Desk(Book()))
    assert answer == "no instruction '0193'; open: none"


START, RETURN = Delay(258.0, 42.0, of_return=False), Delay(0.0, 299.5, of_return=True)


@pytest.mark.parametrize(
    ("said", "delays", "heard", "answer"),
    [
        ({}, {"0193-bb": START}, ["0193-bb"], (["heat"], "0193-bb starts now, 42 s early")),
        ({}, {}, None, ([], "no random delay runs")),
        ({"id": "0193-bb"}, {"0193-aa": START}, None, ([], "no random delay runs for 0193-bb")),
        (
            {},
            {"0193-aa": START, "0193-bb": RETURN},
            ["0193-aa", "0193-bb"],
            (["ev", "heat"], "0193-aa starts now, 42 s early, 0193-bb lets go now, 5 min 0 s early"),
        ),
        (
            {"id": "0193-a"},
            {"0193-aa": START, "0193-bb": START},
            ["0193-aa"],
            (["ev", "heat"], "0193-aa starts now, 42 s early"),
        ),
        (
            {"id": "ev"},
            {"0193-aa": START, "0193-bb": START},
            ["0193-aa"],
            (["ev", "heat"], "0193-aa starts now, 42 s early"),
        ),
        ({"id": "ev"}, {"0193-bb": START}, None, ([], "no random delay runs for ev")),
    ],
)
async def test_a_delay_is_skipped_of_one_instruction_or_of_all(
    said: Any, delays: dict[str, Delay], heard: list[str] | None, answer: object
) -> None:
    desk = Desk(TWO, delays=delays)
    assert await _skipped(desk, said) == answer
    assert desk.heard == ([heard] if heard else [])


@pytest.mark.parametrize(
    ("said", "own", "heard", "answer"),
    [
        ({}, ["ev"], [], (["ev"], "the schedule of ev goes on now, 4 min 12 s early")),
        ({"id": "ev"}, ["ev"], [], (["ev"], "the schedule of ev goes on now, 4 min 12 s early")),
        ({"id": "heat"}, None, [["0193-bb"]], (["heat"], "0193-bb starts now, 42 s early")),
        ({"id": "0193-bb"}, None, [["0193-bb"]], (["heat"], "0193-bb starts now, 42 s early")),
    ],
)
async def test_a_delay_of_an_assets_own_schedule_is_skipped_with_its_name_or_with_all(
    said: Any, own: list[str] | None, heard: list[object], answer: object
) -> None:
    delays = {"0193-bb": START} if heard else {}
    desk, schedules = Desk(TWO, delays=delays), Schedules()
    assert await _skipped(desk, said, schedules, {"ev": 251.5, "heat": None}) == answer
    assert (desk.heard, schedules.skipped) == (heard, own or [])


async def test_all_that_waits_is_skipped_in_one_word() -> None:
    desk, schedules = Desk(TWO, delays={"0193-bb": START}), Schedules()
    answer = await _skipped(desk, {}, schedules, {"ev": 60.0, "heat": None})
    early = "the schedule of ev goes on now, 1 min 0 s early, 0193-bb starts now, 42 s early"
    assert (answer, desk.heard, schedules.skipped) == ((["ev", "heat"], early), [["0193-bb"]], ["ev"])


async def _skipped(
    desk: Desk,
    said: Any,
    own: Schedules | None = None,
    left_s: dict[str, float | None] | None = None,
) -> object:
    left_s = {"ev": None, "heat": None} if left_s is None else left_s
    return await consent.skip_delay({"ask": "skip-delay", **said}, desk, own or Schedules(), left_s)


async def test_a_delay_of_what_is_not_there_is_answered_with_what_is() -> None:
    for id_ in ("0199", ["0199"]):
        answer = await _skipped(Desk(TWO), {"id": id_})
        assert answer == f"no instruction {id_!r}; open: 0193-aa, 0193-bb; assets: ev, heat"


def test_a_countdown_says_what_ends_it() -> None:
    assert consent.countdown(START) == (
        "starts in 42 s of a random delay; `homeflex skip-delay` starts it now"
    )
    assert consent.countdown(RETURN) == (
        "lets go in 5 min 0 s of a random delay; `homeflex skip-delay` lets go now"
    )


async def test_who_opts_out_of_what_only_waits_to_return_is_told_how_it_lets_go() -> None:
    entry = TWO.current["0193-bb"]
    ended = replace(entry, lives=tuple(replace(a, status=Status.SUCCEEDED) for a in entry.lives))
    desk = Desk(TWO.with_entry(ended), delays={"0193-bb": RETURN})
    answer = await consent.opt_out({"ask": "opt-out", "id": "0193-bb"}, desk)
    assert not isinstance(answer, str)
    assert answer.what == (
        "no part in 0193-bb any more (SUCCEEDED); `homeflex skip-delay 0193-bb` lets go now"
    )


HANDS = book_of(asked("i1", vector=Vector.MANUAL, value=500.0), asked("i2"))
BEFORE = replace(HANDS.current["i1"], accepted_utc_s=None)


@pytest.mark.parametrize(
    ("question", "heard", "answer"),
    [
        (
            {"ask": "accept", "id": "i1"},
            ("agreed", "i1"),
            ([], "accepted i1: class:heat at most 0.50 kW, by hand"),
        ),
        ({"ask": "decline", "id": "i1"}, ("i1", ["heat"]), (["heat"], "declined i1")),
        ({"ask": "opt-out", "id": "i1"}, ("i1", ["heat"]), (["heat"], "declined i1")),
    ],
)
async def test_what_hands_are_to_do_is_accepted_or_declined(
    question: Any, heard: object, answer: object
) -> None:
    desk = Desk(HANDS)
    assert await consent.WORDS[question["ask"]](question, desk) == answer
    assert desk.heard == [heard]


@pytest.mark.parametrize("verb", ["accept", "decline"])
@pytest.mark.parametrize(
    ("id_", "told"),
    [
        ("i2", "i2 is the hub's to carry out; `homeflex opt-out i2` ends the home's part in it"),
        ("i3", "no instruction 'i3'; open: i1, i2"),
    ],
)
async def test_what_is_not_for_hands_cannot_be_answered(verb: str, id_: str, told: str) -> None:
    desk = Desk(HANDS)
    assert await consent.WORDS[verb]({"ask": verb, "id": id_}, desk) == told  # type: ignore[typeddict-item]
    assert not desk.heard


async def test_what_waits_for_the_clock_or_has_ended_is_not_accepted() -> None:
    desk = Desk(HANDS.with_entry(BEFORE))
    answer = await consent.answer({"ask": "accept", "id": "i1"}, desk)
    assert answer == "i1 waits until this home's clock is trusted; it can be declined, not accepted yet"
    desk = Desk(HANDS.with_entry(_with_all_out(HANDS.current["i1"])))
    answer = await consent.answer({"ask": "accept", "id": "i1"}, desk)
    assert not isinstance(answer, str)
    assert answer.what.startswith("no part in i1 any more (ABORTED")
    assert not desk.heard


def test_what_is_asked_is_said_by_the_step_that_holds() -> None:
    steps = book_of(asked("i1", steps=3, kind=Kind.SETPOINT, value=2000.0)).current["i1"]
    start_utc_s = steps.window_utc_s[0]
    assert consent.asked(steps, 0.0) == "class:heat about 2.00 kW, then 2 more steps"
    assert consent.asked(steps, start_utc_s + HOUR - 1) == "class:heat about 2.00 kW"
    assert consent.asked(steps, start_utc_s + HOUR) == "class:heat about 2.00 kW"
    assert consent.asked(TWO.current["0193-aa"], 0.0) == "asset:ev + asset:heat at most 0.00 kW"
    assert consent.asked(Entry("s1", 0, "", 0.0, 0.0), 0.0) == ""


# --- as commands ------------------------------------------------------------------------------------------


@asynccontextmanager
async def daemon_with(folder: Path, *orders: Order, settled: Status = Status.ACCEPTED) -> AsyncIterator[Home]:
    """A daemon with a heat pump, and with these orders in its journal, so far."""
    pump, config = Xtherma(), folder / "homeflex.toml"
    (folder / "state").mkdir()
    entries = [
        replace(entry, lives=tuple(replace(life, status=settled) for life in entry.lives))
        for entry in book_of(*orders).current.values()
    ]
    async with Store.open(folder / "state" / DATABASE) as store:
        await store.submit(*(PutEntry(entry.id, codec.encode("entry", entry)) for entry in entries))
    async with ModbusServer({1: pump}) as server:
        config.write_text(
            CONFIG.format(port=server.port).replace("schedule = ", "# ")
            + '\n[boundary]\npower_w = ["hp.power_w"]\n'
        )
        async with Kill9([sys.executable, "-m", "gateway", "run", "--config", str(config)]) as daemon:
            home = Home(config, pump, daemon)
            await daemon.start()
            await home.until_answered()
            yield home


async def test_opt_out_frees_the_heat_pump_from_that_instruction_also_after_a_crash(tmp_path: Path) -> None:
    async with daemon_with(tmp_path, asked("i1"), asked("i2")) as home:
        await home.until_blocked(True)
        first = await home.homeflex("opt-out", "i1")
        assert (first.code, first.err) == (0, "")
        assert first.out.startswith("heat: opted out of i1; now heat is held to 0 W: ")
        assert "by instruction i2" in first.out
        second = await home.homeflex("opt-out", "i2", "heat", "--json")
        assert second.answer == {"done": "heat: opted out of i2; now heat runs by its own control"}
        await home.until_blocked(False)
        await home.daemon.kill()
        await home.daemon.start()
        await home.until_answered()
        assert (await home.homeflex("status", "--json")).answer["instructions"] == []
        again = await home.homeflex("opt-out", "i2")
        assert (again.code, again.out) == (
            0,
            "heat: no part in i2 any more (ABORTED, userOverride: the household opted out); "
            "now heat runs by its own control\n",
        )
        assert not home.pump.blocked
        unknown = await home.homeflex("opt-out", "i3")
        assert (unknown.code, unknown.err) == (1, "no instruction 'i3'; open: none\n")


async def test_a_random_delay_is_counted_down_and_skipped_also_over_a_crash(tmp_path: Path) -> None:
    async with daemon_with(tmp_path, asked("i1", start=-5, start_delay=1800)) as home:
        for words in ("status", "why"):
            assert (
                "of a random delay; `homeflex skip-delay` starts it now" in (await home.homeflex(words)).out
            )
        (line,) = (await home.homeflex("status", "--json")).answer["instructions"][0]["assets"]
        assert 800 < line["delay_left_s"] < 900
        assert not home.pump.blocked
        said = await home.homeflex("skip-delay")
        assert (said.code, said.err) == (0, "")
        assert re.match(r"heat: i1 starts now, 14 min \d+ s early; now heat is held to 0 W: ", said.out)
        await home.daemon.kill()
        await home.daemon.start()
        await home.until_answered()
        await home.until_blocked(True)
        again = await home.homeflex("skip-delay", "i1", "--json")
        assert again.answer == {"done": "no random delay runs for i1"}


async def test_a_delayed_return_is_counted_down_and_skipped(tmp_path: Path) -> None:
    short = asked("i1", start=-HOUR + 8, end_delay=1800)
    async with daemon_with(tmp_path, short, settled=Status.STARTED) as home:
        async with asyncio.timeout(20):
            while "lets go in" not in (await home.homeflex("status")).out:
                await asyncio.sleep(0.2)
        assert "lets go now" in (await home.homeflex("why", "heat")).out
        assert home.pump.blocked
        said = await home.homeflex("skip-delay", "i1")
        assert re.match(
            r"heat: i1 lets go now, 1[45] min \d+ s early; now heat runs by its own control", said.out
        )
        await home.until_blocked(False)
        assert (await home.homeflex("status", "--json")).answer["instructions"] == []


async def test_what_hands_are_to_do_is_listed_accepted_and_declined_also_over_a_crash(tmp_path: Path) -> None:
    hands = {"vector": Vector.MANUAL, "start": 900.0, "expires": time.time() - UTC + 900}
    async with daemon_with(tmp_path, asked("i1", **hands), asked("i2", **hands), asked("i3")) as home:
        listed = (await home.homeflex("dispatch")).out
        assert "i1   tcm, response   by hand" in listed
        assert "class:heat at most 0.00 kW" in listed
        assert "`homeflex accept i1` or `homeflex decline i1`" in listed
        assert "i3   tcm, response   by the hub" in listed
        said = await home.homeflex("accept", "i1")
        assert (said.code, said.out) == (0, "accepted i1: class:heat at most 0.00 kW, by hand\n")
        said = await home.homeflex("decline", "i2")
        assert (said.code, said.out.partition(";")[0]) == (0, "heat: declined i2")
        refused = await home.homeflex("accept", "i3", "--json")
        assert (refused.code, "homeflex opt-out i3" in refused.answer["error"]) == (1, True)
        await home.daemon.kill()
        await home.daemon.start()
        await home.until_answered()
        found = (await home.homeflex("dispatch", "--json")).answer["instructions"]
        assert set(found[0]) == set(get_type_hints(answers.InstructionLine))
        assert {one["id"]: (one["vector"], one["agreed"]) for one in found} == {
            "i1": ("manual", True),
            "i3": ("automated", False),
        }
        assert found[0]["assets"][0]["text"] == (
            "the household accepted it and does it by hand; `homeflex decline i1`"
        )
