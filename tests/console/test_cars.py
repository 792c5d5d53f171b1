"""What people at home say of their car, and what they are answered: as functions, and as commands."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import pytest_asyncio

from gateway import cars
from gateway.console import answers
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    AssetMemory,
    AssetState,
    Charge,
    Deadline,
    Limits,
    Mark,
    Memory,
    Reading,
    Snapshot,
    Typed,
)
from tests.console.test_cli import Done, command
from tests.faults.kill9 import Kill9

EV = Asset(
    "ev",
    AssetClass.EV,
    7360,
    Ability((0,), (1380, 7360), 23, raises=True, lease_s=900),
    sources={"soc": ("charger.soc", "typed")},
)
CHARGE = Charge(60 * 3_600_000, 0.2, 0.8, 0.9, None, 0.9, (Deadline(1_800_030_000.0, "07:00 local"),))
HERE = AssetState(connected=Reading(1.0, 0.0, "charger.connected"), online=True)
TYPED = Memory(assets={"ev": AssetMemory(plugged=Mark(0.0), typed=Typed(0.5, Mark(100.0)))})


@dataclass
class Told:
    """A household that only listens."""

    heard: list[object] = field(default_factory=list)

    def override(self, asset: str | None, for_s: float, *, paused: bool = False) -> list[str]:
        """Not asked here."""
        raise AssertionError((asset, for_s, paused))

    def charge_now(self, asset: str, most_s: float) -> None:
        """Charge a car."""
        self.heard.append((asset, most_s))

    def type_in(self, asset: Asset, soc: float) -> None:
        """Note a SoC."""
        self.heard.append((asset.id, soc))


def home(*assets: Asset, state: AssetState = HERE, memory: Memory = TYPED) -> Snapshot:
    found = assets or (EV,)
    return Snapshot(
        3700.0, 1_800_000_000.0, True, found, {a.id: state for a in found},
        {a.id: Limits(charge=CHARGE) for a in found}, memory=memory,
    )  # fmt: skip


def test_a_car_is_told_as_data_and_in_the_same_words() -> None:
    line = cars.line(home(), EV)
    assert line == {
        "connected": True,
        "soc": 0.5,
        "soc_age_s": 3600.0,
        "soc_source": "typed",
        "needed_wh": pytest.approx(20_000, abs=1),
        "ready_by": "2027-01-15T16:20:00Z",
        "text": "charged to 50%, by what was typed in 1.0 h ago; 20.00 kWh needed by 07:00 local",
    }
    assert cars.words(home(), EV) == line["text"]


def test_of_what_is_no_car_nothing_is_told() -> None:
    plug, bricks = (replace(EV, asset_class=kind) for kind in (AssetClass.PLUG, AssetClass.HEAT))
    assert cars.line(home(plug), plug) is None
    assert cars.words(home(plug), plug) == ""
    assert cars.line(home(bricks), bricks) is None
    assert cars.words(home(bricks), bricks) == "level of its store unknown"
    assert cars.words(replace(home(bricks), limits={}), bricks) == ""


def test_a_typed_charge_is_noted_for_the_one_car_there_is() -> None:
    told = Told()
    assert cars.type_in({"ask": "soc", "soc": 0.54}, home(), told) == (EV, "")
    assert told.heard == [("ev", 0.54)]


GONE = AssetState(connected=Reading(0.0, 0.0, "charger.connected"))
MEASURED = replace(EV, sources={"soc": ("charger.soc",)})


@pytest.mark.parametrize(
    ("question", "snapshot", "told"),
    [
        ({"soc": 54}, home(), "5400% is no charge; 0 to 100, as in homeflex soc 54, would be right"),
        ({"soc": -0.01}, home(), "is no charge"),
        ({"soc": 0.0054}, home(), "0.54 % is hardly a charge; homeflex soc 54 would be right"),
        ({"soc": "half"}, home(), "nan% is no charge"),
        ({}, home(), "nan% is no charge"),
        ({"soc": 0.5, "asset": "van"}, home(), "no car 'van'; there are ev"),
        ({"soc": 0.5}, home(EV, replace(EV, id="van")), "which car?; there are ev, van"),
        ({"soc": 0.5}, home(replace(EV, asset_class=AssetClass.HEAT)), "no car None; there are none"),
        ({"soc": 0.5}, home(state=GONE), "ev: no car is plugged in; say it again when one is"),
        ({"soc": 0.5}, home(MEASURED), 'soc = ["typed"] in [asset.ev] would be right'),
    ],
)
def test_a_charge_that_cannot_be_noted_says_what_would_be_right(
    question: Any, snapshot: Snapshot, told: str
) -> None:
    household = Told()
    answer = cars.type_in({"ask": "soc", **question}, snapshot, household)
    assert isinstance(answer, str)
    assert told in answer
    assert not household.heard


def test_charge_now_lasts_until_the_car_is_charged_or_gone() -> None:
    told = Told()
    answer = cars.charge_now({"ask": "charge-now", "asset": "ev"}, home(), told)
    assert answer == (EV, "charges now, until it is charged or gone, 12 h at most")
    assert told.heard == [("ev", 12 * 3600.0)]


FULL = replace(TYPED, assets={"ev": AssetMemory(plugged=Mark(0.0), typed=Typed(0.9, Mark(100.0)))})


@pytest.mark.parametrize(
    ("snapshot", "told"),
    [
        (home(state=GONE), "no car is plugged in"),
        (home(memory=FULL), "there is nothing to charge"),
        (home(replace(EV, ability=Ability())), "ev is only watched: nothing holds it"),
    ],
)
def test_charge_now_where_nothing_can_be_charged_says_why(snapshot: Snapshot, told: str) -> None:
    household = Told()
    answer = cars.charge_now({"ask": "charge-now"}, snapshot, household)
    assert isinstance(answer, str)
    assert told in answer
    assert not household.heard


# --- as commands ------------------------------------------------------------------------------------------

CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[clock]
trust = "always"

[devices.meter]
driver = "p1"
tcp = "127.0.0.1:9"

[asset.ev]
class = "ev"
nominal_w = 7360
import_ws = ["meter.import_ws"]
soc = ["typed"]

[asset.ev.charge]
battery_kwh = 60
target_soc = 0.8
ready_by = "07:00"
"""


@dataclass(frozen=True)
class Home:
    """A home with a car, and the daemon that runs there."""

    config: Path
    daemon: Kill9

    async def homeflex(self, *words: str) -> Done:
        """Run a command on this home."""
        return await command(*words, "--config", str(self.config))

    async def start(self) -> None:
        """Start the daemon and wait until it answers."""
        await self.daemon.start()
        async with asyncio.timeout(20):
            while (await self.homeflex("status")).code:
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def garage() -> AsyncIterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="homeflex-car-"))
    file = folder / "homeflex.toml"
    file.write_text(CONFIG)
    async with Kill9([sys.executable, "-m", "gateway", "run", "--config", str(file)]) as daemon:
        home = Home(file, daemon)
        await home.start()
        yield home
    shutil.rmtree(folder)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_typed_in_is_told_by_status_and_why_also_after_a_crash(garage: Home) -> None:
    said = await garage.homeflex("soc", "54")
    assert (said.code, said.err) == (0, "")
    needed = "17.33 kWh needed by 07:00 local"
    assert said.out.startswith("ev: charged to 54%, by what was typed in 0.0 h ago; " + needed)
    car = (await garage.homeflex("status", "--json")).answer["assets"][0]["car"]
    assert set(car) == set(get_type_hints(answers.CarLine))
    assert (car["soc"], car["soc_source"], car["connected"]) == (0.54, "typed", None)
    assert needed in (await garage.homeflex("status")).out
    assert needed in (await garage.homeflex("why", "ev")).out
    await garage.daemon.kill()
    await garage.start()
    assert needed in (await garage.homeflex("status")).out


@pytest.mark.asyncio(loop_scope="module")
async def test_a_charge_above_100_is_wrong_usage_and_a_watched_car_is_not_charged_now(garage: Home) -> None:
    assert (await garage.homeflex("soc", "101")).code == 2
    share = await garage.homeflex("soc", "0.54")
    assert (share.code, "54 would be right" in share.err) == (2, True)
    said = await garage.homeflex("charge-now", "ev")
    assert (said.code, said.err) == (1, "ev is only watched: nothing holds it\n")
