"""The conversations: send and wait, follow, listen, take in and acknowledge; each tells what it hears.

Errors
    NoAnswer    the home, or whoever should, did not answer in time; the text says what to look at
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gateway.aggregator.broker import Broker, Connection, NoBroker, connected, listening
from gateway.aggregator.following import Ending, Following
from gateway.aggregator.heard import ROOT, Heard, line_of, numbers, topics
from gateway.aggregator.holding import Holding
from gateway.wire.moment import moment_of, utc_s_of

Tell = Callable[[Heard], None]
Note = Callable[[str], None]

_WATERMARKS = "watermarks.json"
_LONGEST_LINE_BYTES = 4 * 1024 * 1024  # the contract's largest message with every character escaped


class NoAnswer(Exception):
    """Nobody answered in time."""


async def send(
    broker: Broker,
    site: str,
    payload: bytes,
    token: bytes,
    tell: Tell,
    *,
    wait_s: float,
    follow_s: float | None = None,
) -> Ending:
    """Publish a signed dispatch and wait for its reception, or follow its instruction to the end, for
    `follow_s` at most.

    The answer to this very message is known by its digest.

    Raises:
        NoBroker: the broker cannot be reached, or is lost.
        NoAnswer: no reception in `wait_s`, or no end in `follow_s`.
    """
    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    async with connected(broker) as connection:
        await connection.subscribe(f"{ROOT}/{site}/dispatch/status")
        heard = connection.heard()
        await connection.publish(f"{ROOT}/{site}/dispatch", token, expires_s=_expires_s(payload))
        reception = await _answer(heard, digest, wait_s)
        tell(reception)
        following = Following(str(reception.body.get("id")))
        following.take(reception.body)
        if follow_s is None or reception.body["reception"] != "OK":
            return _received(reception, following)
        async with _for(follow_s):
            return await _to_the_end(heard, following, tell)
        raise _no_end(following, follow_s)


async def ask(broker: Broker, site: str, verb: str, token: bytes, *, wait_s: float) -> Heard:
    """Publish a signed question and wait for its answer.

    Raises:
        NoBroker: the broker cannot be reached, or is lost.
        NoAnswer: no answer in `wait_s`.
    """
    reply_on = f"{ROOT}/{site}/reply/{secrets.token_hex(8)}"
    async with connected(broker) as connection:
        await connection.subscribe(reply_on)
        topic = f"{ROOT}/{site}/rpc/{verb}"
        await connection.publish(topic, token, expires_s=math.ceil(wait_s), reply_on=reply_on)
        async with _for(wait_s):
            async for heard in connection.heard():
                return heard
    raise NoAnswer(
        f"{site} did not answer in {wait_s:g} s: is it online (`watch`), does the broker let it read rpc/+ "
        "and write reply/+, was it asked more than ten times a minute?"
    )


async def publish_keys(broker: Broker, site: str, version: int, token: bytes, *, wait_s: float) -> None:
    """Publish a signed trust store, retained, and wait until the home's `state` says that it is in force.

    Raises:
        NoBroker: the broker cannot be reached, or does not let us read the topics.
        NoAnswer: the broker does not keep it, or the home has not taken it in time.
    """
    topic, kept, said = f"{ROOT}/{site}/keys", False, "nothing"
    async with connected(broker) as connection:
        await connection.publish(topic, token, retain=True)
        await connection.subscribe(topic, f"{ROOT}/{site}/state")
        async with _for(wait_s):
            async for heard in connection.heard():
                kept |= heard.below == "keys" and heard.payload == token
                if heard.below == "state":
                    keys = heard.body.get("keys") or {}
                    said = f"version {keys.get('version')}, {keys.get('source')}"
                    if kept and (keys.get("version"), keys.get("source")) == (version, "remote"):
                        return
    if not kept:
        raise NoAnswer(f"the broker took it and does not keep it: may we write to {topic}?")
    raise NoAnswer(
        f"it is retained, and {site} has not said that it is in force (its state says: {said}). A home that "
        "is away takes it when it is back; one that refuses it says so in an event; one that pins no root "
        "key never listens"
    )


async def watch(
    broker: Broker, site: str, tell: Tell, *, lasts_s: float | None, id: str | None = None
) -> Ending | None:
    """Tell everything a home says (`+`: all homes), until `lasts_s` is over or that instruction ended.

    Raises:
        NoBroker: the first connection could not be made.
        NoAnswer: the instruction did not end in time.
    """
    following = Following(id) if id else None
    async with _for(lasts_s), contextlib.aclosing(listening(broker, *topics(site))) as coming:
        async for _, heard in coming:
            if heard is None or (following and not _is_of(following, heard)):
                continue
            tell(heard)
            if following and following.ending is not None:
                return following.ending
    if following:
        raise _no_end(following, lasts_s or 0.0)
    return None


async def take_in(
    broker: Broker, site: str, book: Book, note: Note, *, every_s: float, lasts_s: float | None
) -> None:
    """Keep everything homes say and acknowledge what is on the disk, until `lasts_s` is over.

    Raises:
        NoBroker: the first connection could not be made.
        OSError: the folder cannot be written to.
    """
    line: list[Connection] = []  # the one that is up now
    acknowledging = asyncio.create_task(_acknowledge(line, book, note, every_s), name="acks")
    try:
        async with _for(lasts_s), contextlib.aclosing(listening(broker, *topics(site))) as coming:
            async for connection, heard in coming:
                line[:] = [connection]
                if heard is not None:
                    book.take(heard)
                if acknowledging.done():
                    acknowledging.result()
    finally:
        acknowledging.cancel()
        await asyncio.gather(acknowledging, return_exceptions=True)
        book.save(time.time())


class Book:
    """What was taken in, in a folder: one file of JSON lines a day, and the watermarks beside.

    Nothing is acknowledged that is not on the disk, and a restart goes on where the last run ended.

    Raises:
        OSError, ValueError: the folder cannot be used, or its watermarks are not ours.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / _WATERMARKS
        folder.mkdir(parents=True, exist_ok=True)
        for last in sorted(folder.glob("*.jsonl"))[-1:]:
            _mend(last)
        self._holding = Holding.restored(self._state.read_text()) if self._state.exists() else Holding()
        self._waiting: list[Heard] = []  # no more than comes between two saves

    @property
    def holding(self) -> Holding:
        """How far each log is held."""
        return self._holding

    def take(self, heard: Heard) -> None:
        """Take a message in; it is on the disk after `save`. What is held already is passed over."""
        found = numbers(heard.below, heard.body)
        if not found or self._holding.take(heard.site, found, heard.at_utc_s):
            self._waiting.append(heard)

    def save(self, now_utc_s: float) -> list[str]:
        """Put everything on the disk; what is given up as lost, in words."""
        lost = self._holding.give_up(now_utc_s)
        if self._waiting:
            path = self._folder / f"{moment_of(self._waiting[0].at_utc_s)[:10]}.jsonl"
            with path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line_of(heard)}\n" for heard in self._waiting)
                file.flush()
                os.fsync(file.fileno())
            self._waiting.clear()
        beside = self._state.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(self._holding.saved())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._state)
        return [
            f"{site} {log}: {first} to {last} are lost: no ack brought them"
            for site, log, first, last in lost
        ]


def _mend(file: Path) -> None:
    """Cut off what a crash left of a line: its message is in no watermark and comes again."""
    with file.open("r+b") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - _LONGEST_LINE_BYTES))
        tail = opened.read()
        opened.truncate(size - len(tail) + tail.rfind(b"\n") + 1)


async def _acknowledge(line: list[Connection], book: Book, note: Note, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        now_utc_s = time.time()
        for lost in book.save(now_utc_s):
            note(lost)
        for site in book.holding.logs if line else ():
            ack = book.holding.ack(site, now_utc_s)
            with contextlib.suppress(NoBroker):  # the next one says the same and more
                await line[0].publish(f"{ROOT}/{site}/ack", json.dumps(ack).encode())
                marks = (f"{log} {mark['seq']}" for log, mark in ack["logs"].items())
                note(f"{ack['at']}  {site}  ack {', '.join(marks)}")


@contextlib.asynccontextmanager
async def _for(lasts_s: float | None) -> AsyncIterator[None]:
    """Ends the block after so long, if it has not ended before."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(lasts_s):
            yield


async def _answer(heard: AsyncIterator[Heard], digest: str, wait_s: float) -> Heard:
    async with _for(wait_s):
        async for one in heard:
            if one.body.get("digest") == digest:
                return one
    raise NoAnswer(
        f"no answer in {wait_s:g} s: is the home there (`watch` shows its presence), may we write to its "
        "topic `dispatch`? It is published all the same, and may still be taken until it expires"
    )


async def _to_the_end(heard: AsyncIterator[Heard], following: Following, tell: Tell) -> Ending:
    while following.ending is None:
        one = await anext(heard)
        if _is_of(following, one):
            tell(one)
    return following.ending


def _expires_s(payload: bytes) -> int | None:
    """How long it may still be accepted: no broker need keep it longer for a home that is away."""
    try:
        return max(1, math.ceil(utc_s_of(json.loads(payload)["expiresAt"]) - time.time()))
    except (ValueError, KeyError, TypeError):
        return None  # a body of one's own, with whatever is wrong in it


def _no_end(following: Following, after_s: float) -> NoAnswer:
    last = ", ".join(f"{asset} {life}" for asset, life in following.lives.items()) or "none was heard"
    return NoAnswer(f"{following.id} had not ended after {after_s:g} s; the last word on it: {last}")


def _is_of(following: Following, heard: Heard) -> bool:
    return heard.below == "dispatch/status" and following.take(heard.body)


def _received(reception: Heard, following: Following) -> Ending:
    if reception.body["reception"] != "OK":
        return Ending.NOT
    rejected = [life == "REJECTED" for life in following.lives.values()]
    return Ending.NOT if rejected and all(rejected) else Ending.SUCCEEDED
