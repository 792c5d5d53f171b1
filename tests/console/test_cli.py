"""The commands as a fitter has them: real processes, against a real daemon with a simulated heat pump."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import pytest_asyncio

from gateway.console import answers
from tests.fakes.modbus import ModbusServer, Xtherma
from tests.faults.kill9 import Kill9

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN_S = 20.0
CONFIG = """\
[site]
id = "home-7f3a"
zone = "Europe/London"

[clock]
trust = "always"

[devices.hp]
driver = "modbus"
profile = "xtherma"
host = "127.0.0.1"
port = {port}
poll_s = 1

[asset.heat]
class = "heat"
control = "hp"
nominal_w = 2400
power_w = ["hp.power_w"]
room_c = ["hp.room_c"]
schedule = [{{ from = "00:00", to = "24:00", value = 0 }}]

[asset.heat.comfort]
room_min_c = 18

[asset.heat.care]
min_run_s = 0
min_rest_s = 0
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


@dataclass
class Home:
    """A configured home, and its heat pump as its maker documents it."""

    config: Path
    pump: Xtherma
    daemon: Kill9

    async def homeflex(self, *words: str) -> Done:
        """Run a command on this home."""
        return await command(*words, "--config", str(self.config))

    async def until_answered(self) -> None:
        """Wait until the daemon has taken its first decision and the pump answers."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                done = await self.homeflex("status", "--json")
                if done.code == 0 and all(device["online"] for device in done.answer["devices"]):
                    return

    async def until_blocked(self, blocked: bool) -> None:
        """Wait until the pump is held off, or is not."""
        async with asyncio.timeout(WITHIN_S):
            while self.pump.blocked is not blocked:
                await asyncio.sleep(0.05)


async def command(*words: str, environment: dict[str, str] | None = None) -> Done:
    """Run `homeflex` with these words."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", **(environment or {})},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def furnished() -> AsyncIterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="homeflex-cli-"))
    pump = Xtherma()
    async with ModbusServer({1: pump}) as server:
        config = folder / "homeflex.toml"
        config.write_text(CONFIG.format(port=server.port))
        async with Kill9([sys.executable, "-m", "gateway", "run", "--config", str(config)]) as daemon:
            yield Home(config, pump, daemon)
    shutil.rmtree(folder)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(furnished: Home) -> AsyncIterator[Home]:
    await furnished.daemon.start()
    await furnished.until_answered()
    yield furnished
    if not furnished.daemon.lives:
        await furnished.daemon.stop()


def _fields(shape: Any) -> set[str]:
    return set(get_type_hints(shape))


async def test_status_is_the_home_on_one_screen(home: Home) -> None:
    await home.until_blocked(True)
    said = await home.homeflex("status")
    assert said.code == 0
    assert "home-7f3a" in said.out
    assert "at most 0 W" in said.out
    assert "runs by its own control again within 120 s" in said.out


async def test_status_as_json_has_the_documented_fields(home: Home) -> None:
    done = await home.homeflex("status", "--json")
    assert done.code == 0
    assert set(done.answer) == _fields(answers.Status)
    assert set(done.answer["devices"][0]) == _fields(answers.DeviceLine)
    assert set(done.answer["assets"][0]) == _fields(answers.AssetLine)
    assert set(done.answer["uplink"]) == _fields(answers.Link)
    assert done.answer["uplink"]["configured"] is False


async def test_why_says_the_same_words_in_text_and_json(home: Home) -> None:
    for words in (["why"], ["why", "heat"]):
        (reasons,) = (await home.homeflex(*words, "--json")).answer["assets"]
        assert set(reasons) == _fields(answers.Why)
        text = (await home.homeflex(*words)).out
        assert f"{reasons['governor']}: {reasons['text']}" in text
        assert reasons["failsafe"] in text


async def test_what_is_not_there_is_answered_with_what_is(home: Home) -> None:
    said = await home.homeflex("why", "kettle")
    assert (said.code, said.err) == (1, "no asset 'kettle'; there are heat\n")
    assert (await home.homeflex("override", "kettle", "--json")).answer == {
        "error": "no asset 'kettle'; there are heat"
    }
    assert (await home.homeflex("release", "kettle")).code == 1


async def test_an_override_frees_the_heat_pump_and_its_end_holds_it_again(home: Home) -> None:
    await home.until_blocked(True)
    said = await home.homeflex("override", "heat", "--for", "2h")
    assert (said.code, said.out) == (0, "heat: taken back for 120 min; now heat runs by its own control\n")
    await home.until_blocked(False)
    (reasons,) = (await home.homeflex("why", "--json")).answer["assets"]
    assert (reasons["governor"], reasons["reason"]) == ("override", "userOverride")
    ended = await home.homeflex("override", "heat", "--end", "--json")
    assert ended.code == 0
    assert ended.answer["done"].startswith("heat: override ended; now heat is held to 0 W: ")
    await home.until_blocked(True)


async def test_a_release_gives_the_heat_pump_back_for_a_while(home: Home) -> None:
    await home.until_blocked(True)
    said = await home.homeflex("release", "--for", "30m")
    assert (said.code, said.out) == (0, "heat: given back for 30 min; now heat runs by its own control\n")
    await home.until_blocked(False)
    await home.homeflex("override", "heat", "--end")
    await home.until_blocked(True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["override"], "one asset, or --home for all of them"),
        (["pause", "heat", "--home"], "one asset, or --home for all of them"),
        (["pause", "heat", "--until", "07:00", "--end"], "--end is now, --until is later"),
        (["override", "heat", "--for", "soon"], "'soon' is no duration; 90s, 30m, 2h or 1d would be"),
        (["override", "heat", "--for", "0s"], "'0s' is no time at all"),
        (["status", "--loud"], "No such option"),
        (["dance"], "No such command"),
    ],
)
async def test_wrong_usage_is_exit_code_2_and_says_why(home: Home, words: list[str], told: str) -> None:
    said = await command(*words, environment={"HOMEFLEX_CONFIG": str(home.config)})
    assert said.code == 2
    assert told in " ".join(said.err.replace("│", " ").split())


async def test_a_time_beyond_a_week_is_refused_by_the_daemon(home: Home) -> None:
    said = await home.homeflex("override", "heat", "--for", "8d")
    assert (said.code, said.err) == (1, "691200 s is not between 0 and 7 days\n")


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (
            {"ask": "dance"},
            f"cannot answer 'dance'; ask {', '.join(answers.VERBS[:-1])} or charge-now",
        ),
        (
            {"ask": "override"},
            "which asset? homeflex override heat --for 2h would be right, --home is all of them",
        ),
        ({"ask": "override", "asset": "heat", "for_s": "2h"}, "nan s is not between 0 and 7 days"),
        ({"ask": "override", "asset": ["heat"], "for_s": 60}, "no asset ['heat']; there are heat"),
        ({"ask": "release", "for_s": 0}, "for how long? homeflex release --for 1h would be right"),
        ({"ask": "release", "for_s": -1}, "-1 s is not between 0 and 7 days"),
    ],
)
async def test_the_daemon_itself_refuses_what_makes_no_sense(home: Home, question: Any, told: str) -> None:
    reader, writer = await asyncio.open_unix_connection(home.config.parent / "state/console.sock")
    writer.write(json.dumps(question).encode() + b"\n")
    assert json.loads(await asyncio.wait_for(reader.readline(), 5)) == {"error": told}
    writer.close()


async def test_looking_in_loads_no_protocol_library_and_nothing_of_the_daemon(home: Home) -> None:
    """What a question costs on a small computer; pydantic is Typer's own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "importtime", "-m", "gateway", "status", "--config", str(home.config),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, err = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert process.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
    assert "gateway.console.local_socket" in loaded
    heavy = {"pymodbus", "aiomqtt", "paho", "joserfc", "sqlite3", "serial", "structlog", "iotcore"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith(("gateway.daemon", "gateway.app", "drivers"))}


# From here on without the daemon; pytest keeps this order.


async def test_without_a_daemon_a_question_is_exit_code_3_and_says_what_to_do(home: Home) -> None:
    await home.daemon.stop()
    said = await home.homeflex("status")
    assert said.code == 3
    assert "is `homeflex run` up?" in said.err
    asked = await home.homeflex("why", "--json")
    assert asked.code == 3
    assert set(asked.answer) == {"error"}


async def test_without_a_daemon_a_release_reaches_the_device_itself(home: Home) -> None:
    home.pump.put("holding", 70, 1)
    home.pump.put("holding", 71, 0)
    assert home.pump.blocked
    said = await home.homeflex("release", "--json")
    assert (said.code, said.answer) == (0, {"done": "given back: hp"})
    assert not home.pump.blocked


async def test_a_configuration_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    said = await command("status", "--config", str(tmp_path / "none.toml"))
    assert said.code == 2
    assert "No such file" in " ".join(said.err.replace("│", " ").split())


async def test_config_check_tells_every_problem_and_by_its_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "homeflex.toml"
    file.write_text(CONFIG.format(port=502))
    good = await command("config", "check", str(file))
    assert (good.code, good.out) == (0, f"{file}: good\n")
    assert (await command("config", "check", str(file), "--json")).answer == {
        "file": str(file), "ok": True, "problems": [],
    }  # fmt: skip
    file.write_text(CONFIG.format(port=0).replace("Europe/London", "Mars"))
    bad = await command("config", "check", str(file), "--json")
    assert bad.code == 1
    assert [problem.partition(":")[0] for problem in bad.answer["problems"]] == [
        "site.zone",
        "devices.hp.port",
    ]
    told = await command("config", "check", str(file))
    assert (told.code, told.out.splitlines()) == (
        1,
        [f"{file}: {problem}" for problem in bad.answer["problems"]],
    )
