"""Which device feeds what, and what a changed configuration file touches."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from tests.faults.tcp_proxy import TcpProxy
from tests.home import promises
from tests.home.aggregator import utc_s_of
from tests.home.beside import beside, long_beside
from tests.home.house import BASE_LOAD_W, House

NO_ROOM_SENSOR = 0x8000  # Xtherma: no value


@beside
async def test_one_asset_is_fed_by_three_devices_and_says_by_which(folder: Path) -> None:
    async with House(folder) as house:
        house.config["asset"]["heat"]["room_c"] = ["heat-hp.room_c", "rooms.heat_c"]
        house.pump.holding[124] = 215
        await house.start()
        await house.seen()
        await house.until(lambda: house.register, "the meter spoke")
        asset = await house.asset()
        assert (asset["power_w"], asset["room_c"]) == (house.pump.demand_w, 21.5)
        _, status = await house.cli("status")
        assert status["boundary_w"] == house.pump.demand_w + BASE_LOAD_W
        assert (await house.why())["sources"] == {
            "power_w": "from heat-hp.power_w",
            "room_c": "from heat-hp.room_c",
            "running": "from heat-hp.compressor_on",
            "changes_left": "from heat-hp.changes_left",
        }

        house.pump.holding[124] = NO_ROOM_SENSOR
        await asyncio.sleep(2.5)
        assert (await house.asset())["room_c"] == 20.5
        assert (await house.why())["sources"]["room_c"] == "from rooms.heat_c; heat-hp.room_c has no value"


@beside
async def test_a_room_older_than_the_household_allows_gives_way_to_the_next_source(folder: Path) -> None:
    async with House(folder) as house:
        heat = house.config["asset"]["heat"]
        heat["room_c"] = ["rooms.heat_c", "heat-hp.room_c"]
        heat["comfort"]["room_max_age_s"] = 4
        await house.start()
        await house.seen()
        house.rooms_c["heat"] = None
        await asyncio.sleep(6.0)
        assert (await house.asset())["room_c"] == 20.5  # the pump's own sensor
        why = await house.why()
        assert why["sources"]["room_c"].startswith("from heat-hp.room_c; rooms.heat_c is")
        await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.pump.blocked, "the room is known, so it may be held", 5.0)


@long_beside(minutes=5)
async def test_a_power_that_goes_stale_gives_way_to_the_submeter(folder: Path) -> None:
    async with House(folder) as house:
        local = {"host": "127.0.0.1", "port": house.local_broker.port}
        point = {"topic": "submeter", "json": "power"}
        house.config["devices"]["submeter"] = {
            "driver": "mqtt_local",
            "broker": local,
            "points": {"power_w": point},
        }
        house.config["asset"]["heat"]["power_w"] = ["heat-hp.power_w", "submeter.power_w"]
        house.submeter_w = 3_333.0
        await house.start()
        await house.seen()
        assert (await house.asset())["power_w"] == house.pump.demand_w
        house.servers["heat"].silent = True
        await asyncio.sleep(95.0)
        assert (await house.asset())["power_w"] == 3_333
        assert (await house.why())["sources"]["power_w"].startswith(
            "from submeter.power_w; heat-hp.power_w is"
        )


@beside
async def test_a_reload_touches_only_the_device_whose_section_changed(folder: Path) -> None:
    async with (
        House(folder, assets=("one", "two")) as house,
        TcpProxy("127.0.0.1", house.local_broker.port) as local,
    ):
        house.config["devices"]["rooms"]["broker"]["port"] = local.port
        pid = await house.start()
        await house.seen()
        assert _connections(house, local) == [1, 1, 1, 1]
        house.config["devices"]["one-hp"]["poll_s"] = 2
        house.config["asset"]["two"]["comfort"]["room_min_c"] = 21.0
        await _reload(house, pid, "configuration taken")
        await house.until(lambda: house.servers["one"].connections == 2, "the first pump anew")
        await asyncio.sleep(1.0)
        assert _connections(house, local) == [2, 1, 1, 1]

        sent = await house.aggregator.cap("class:heat", 0.0)  # the new limit holds
        await house.until(
            lambda: house.aggregator.said(sent.id, asset="two", reason="comfortLimit"), "too cold for it"
        )
        assert house.pumps["one"].blocked
        assert not house.pumps["two"].told


@beside
async def test_an_asset_that_a_reload_takes_out_is_given_back(folder: Path) -> None:
    async with House(folder, assets=("one", "two")) as house:
        pid = await house.start()
        await house.seen()
        await house.aggregator.cap("class:heat", 0.0)
        await house.until(lambda: all(pump.blocked for pump in house.pumps.values()), "both held")
        del house.config["asset"]["one"]
        del house.config["devices"]["one-hp"]
        await _reload(house, pid, "configuration taken")
        await house.until(lambda: not house.pumps["one"].blocked, "the household's own again", 2.0)
        assert house.pumps["two"].blocked


@beside
async def test_a_second_daemon_for_the_same_home_does_not_start(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        await house.seen()
        code, said = await house.cli("run")
        assert code == 1
        assert "another homeflex works with" in said
        assert house.servers["heat"].connections == 1


@beside
async def test_a_broken_file_changes_nothing_and_says_why(folder: Path) -> None:
    async with House(folder) as house:
        pid = await house.start()
        await house.seen()
        before, good = await house.asset(), house.file.read_text()
        house.config["devices"]["heat-hp"]["pol_s"] = 2
        house.config["asset"]["heat"]["comfort"]["room_min_c"] = 35
        await _reload(house, pid, "configuration not taken")
        assert "devices.heat-hp.pol_s" in house.output
        assert "room_min_c: 35" in house.output
        code, told = await house.cli("config", "check", str(house.file))
        assert (code, told["ok"], len(told["problems"])) == (1, False, 2)

        house.file.write_text("this is no TOML")
        await _reload(house, pid, "not TOML", write=False)
        assert house.servers["heat"].connections == 1
        house.file.write_text(good)  # the command reads it too, to find the daemon
        assert await house.asset() == before


@beside
async def test_a_daemon_does_not_start_on_unknown_keys(folder: Path) -> None:
    async with House(folder) as house:
        house.config["delay"] = {"default_start_s": 1}
        house.config["site"]["nmae"] = "x"
        house.write()
        code, said = await house.cli("run")
        assert code == 1
        assert "site.nmae: unknown" in said
        assert "delay: unknown" in said


@beside
async def test_how_minutes_are_reported_is_taken_without_a_restart(folder: Path) -> None:
    """One minute joins the old grid and the new one; each point speaks on its own topic from then on."""
    async with House(folder) as house:
        pid = await house.start(minute_ends_in_s=4.0)
        await house.until(lambda: house.aggregator.minutes("boundary"), "a minute", 30)
        offset_s = int(time.time() + 5) % 60
        house.config["reporting"] = {"offset_s": offset_s, "bundle": False}
        await _reload(house, pid, "configuration taken")
        await house.until(lambda: len(house.aggregator.minutes("boundary")) > 1, "the next", 30)
        last = house.aggregator.minutes("boundary")[-1]
        assert int(utc_s_of(last["end"])) % 60 == offset_s
        assert "regrid" in last["reasons"]
        promises.minutes_join(house.aggregator.minutes("boundary"))
        await house.until(lambda: house.aggregator.all("telemetry/heat"), "the pump's own topic")
        (alone,) = house.aggregator.all("telemetry/boundary")
        assert (list(alone["points"]), alone["offsetS"]) == (["boundary"], offset_s)
        await promises.no_number_is_missing_or_used_twice(house)


async def _reload(house: House, pid: int, says: str, *, write: bool = True) -> None:
    if write:
        house.write()
    heard = house.output.count(says)
    os.kill(pid, signal.SIGHUP)
    await house.until(lambda: house.output.count(says) > heard, f"the log says {says}")


def _connections(house: House, local: TcpProxy) -> list[int]:
    pumps = [server.connections for server in house.servers.values()]
    return [*pumps, house.meter.connections, local.connections]
