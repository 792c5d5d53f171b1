"""The trust store from afar: keys come and go by the root's word, and never back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from gateway.wire.signature import new_private_key
from tests.home import promises
from tests.home.aggregator import KID, Aggregator, Key, Sent, cap_body
from tests.home.beside import beside
from tests.home.house import SITE, House

NEW = "aggregator-2"


def _reception(aggregator: Aggregator, id: str | None) -> list[str]:
    return [body["reception"] for body in aggregator.statuses(id)]


def _events(aggregator: Aggregator, kind: str, text: str) -> list[dict[str, Any]]:
    return [e for e in aggregator.events() if e["kind"] == kind and text in e["text"]]


def _in_force(aggregator: Aggregator) -> dict[str, Any] | None:
    found: dict[str, Any] | None = aggregator.all("state")[-1]["keys"]
    return found


async def _rotated(house: House, version: int) -> None:
    await house.aggregator.send_keys(version)
    text = f"version {version} in force"
    await house.until(lambda: _events(house.aggregator, "security", text), text)


async def _sent(house: House, key: Key) -> Sent:
    """A cap that begins in an hour: it is judged and moves nothing."""
    return await house.aggregator.send(cap_body(SITE, "asset:heat", 0.0, ago_s=-3600), key)


async def _taken(house: House, key: Key) -> Sent:
    sent = await _sent(house, key)
    await house.until(lambda: _reception(house.aggregator, sent.id) == ["OK"], f"{key.kid} counts")
    return sent


async def _refused(house: House, key: Key) -> None:
    known = len(_events(house.aggregator, "security", "dispatch refused"))
    sent = await _sent(house, key)
    await house.until(
        lambda: len(_events(house.aggregator, "security", "dispatch refused")) > known,
        f"{key.kid} is refused",
    )
    assert not _reception(house.aggregator, sent.id)


@beside
async def test_keys_rotate_without_a_refusal_and_what_went_never_comes_back(folder: Path) -> None:
    async with House(folder) as house:
        aggregator, old = house.aggregator, house.aggregator.keys[KID]
        house.config["security"]["root"] = aggregator.root_x
        await aggregator.send_keys(1)  # the same as the local file's
        pid = await house.start()
        await house.until(lambda: aggregator.all("state"), "it says who it is")
        assert _in_force(aggregator) == {"version": 1, "source": "local"}
        assert "homeflex.keys.v1" in aggregator.all("state")[-1]["accepts"]
        before = await _taken(house, old)

        new = aggregator.trust(NEW, not_after="2090-01-01T00:00:00Z")
        os.kill(pid, signal.SIGSTOP)  # so that it reads both at once, before the disk can have the keys
        await aggregator.send_keys(2)
        sent = await _sent(house, new)
        os.kill(pid, signal.SIGCONT)
        await house.until(lambda: _reception(aggregator, sent.id) == ["OK"], "the new key counts at once")
        (came,) = _events(aggregator, "security", "in force")
        assert came["text"] == f"trust store version 2 in force: {NEW} came"
        assert came["severity"] == "info"
        for key in (old, new, old):
            await _taken(house, key)
        assert not _reception(aggregator, None), "nothing was refused"

        both = aggregator.keys
        aggregator.keys = {NEW: new}
        await _rotated(house, 3)
        assert _events(aggregator, "security", f"version 3 in force: {KID} went")
        await _refused(house, old)
        await _taken(house, new)
        _, status = await house.cli("status")
        assert before.id in [one["id"] for one in status["instructions"]], "what was accepted goes on"

        aggregator.keys = both
        await aggregator.send_keys(2)
        await house.until(lambda: _events(aggregator, "security", "version 2 is lower than 3"), "no way back")
        await aggregator.send_keys(3)
        await house.until(
            lambda: _events(aggregator, "tamper", "version 3 came again with another body"), "nor another 3"
        )
        for _ in range(3):
            await aggregator.send_keys(4, root=new.private)
        await house.until(lambda: _events(aggregator, "security", "keys refused: INV"), "nor another's word")
        await asyncio.sleep(0.5)
        (refused,) = _events(aggregator, "security", "keys refused: INV")
        assert (refused["text"], refused["count"]) == ("keys refused: INVALID_SIGNATURE", 1)

        await house.kill()
        await house.start()
        await house.until(lambda: _in_force(aggregator) == {"version": 3, "source": "remote"}, "as before")
        await _taken(house, new)
        await _refused(house, old)
        code, told = await house.cli("keys")
        assert (code, told["version"], told["source"]) == (0, 3, "remote")
        (line,) = told["keys"]
        assert (line["kid"], line["role"], line["counts"]) == (NEW, "dispatch", True)
        assert line["not_after"].startswith("2090-01-01T00:00:00")
        assert len(told["root"].replace(" ", "")) == 16
        await promises.no_number_is_missing_or_used_twice(house)


@beside
async def test_what_was_sent_while_the_home_was_away_is_judged_by_the_keys_sent_then(folder: Path) -> None:
    """First by a home that never listened to keys: they come only when it asks; then by one that did."""
    async with House(folder) as house:
        aggregator, old = house.aggregator, house.aggregator.keys[KID]
        await house.start()
        await house.until(lambda: aggregator.all("state"), "it says who it is")
        assert aggregator.all("state")[-1]["accepts"] == ["homeflex.dispatch.v1", "homeflex.rpc.v1"]
        await aggregator.send_keys(7)
        await asyncio.sleep(1.0)
        assert _in_force(aggregator) == {"version": 1, "source": "local"}, "no root, no keys from afar"
        await house.stop()

        house.config["security"]["root"] = aggregator.root_x
        new = aggregator.trust(NEW)
        aggregator.keys = {NEW: new}
        good, bad = await _sent(house, new), await _sent(house, old)
        await aggregator.send_keys(8)
        aggregator.keys = {KID: old}  # of commissioning, as the file has it
        await house.start()
        await house.until(lambda: _reception(aggregator, good.id) == ["OK"], "the new key's is taken")
        await house.until(
            lambda: _reception(aggregator, None) == ["INVALID_SIGNATURE"], "the old key's is not"
        )
        assert not _reception(aggregator, bad.id)

        await house.kill()
        latest = Key("aggregator-3", private=new_private_key())
        aggregator.keys = {latest.kid: latest}
        await aggregator.send_keys(9)
        good, bad = await _sent(house, latest), await _sent(house, new)
        aggregator.keys = {KID: old}
        await house.start()
        await house.until(lambda: _reception(aggregator, good.id) == ["OK"], "the latest key's is taken")
        await house.until(lambda: len(_reception(aggregator, None)) == 2, "the former key's is not")
        assert not _reception(aggregator, bad.id)
        assert _in_force(aggregator) == {"version": 9, "source": "remote"}


@beside
async def test_where_nothing_is_retained_the_local_file_counts_and_a_newer_one_by_a_reload(
    folder: Path,
) -> None:
    async with House(folder) as house:
        aggregator, old = house.aggregator, house.aggregator.keys[KID]
        house.config["security"]["root"] = aggregator.root_x
        pid = await house.start()
        await _taken(house, old)
        assert _in_force(aggregator) == {"version": 1, "source": "local"}
        await _rotated(house, 2)

        new = aggregator.trust(NEW)
        (folder / "keys.json").write_text(aggregator.trust_store(3))
        os.kill(pid, signal.SIGHUP)
        await house.until(lambda: _events(aggregator, "security", f"3 in force: {NEW} came"), "the file's")
        await _taken(house, new)
        house.config["security"]["root"] = Aggregator(SITE, 0).root_x
        house.write()
        os.kill(pid, signal.SIGHUP)
        await house.until(lambda: "a restart is needed" in house.output, "another root is for a restart")
        assert "security.root" in house.output
        await _taken(house, new)
