"""The household's word on what the aggregator asks: it opts out of an instruction."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from gateway.console.answers import Question
from gateway.core.life import Book, Entry, Life
from gateway.core.model import Reason


class Desk(Protocol):
    """Where instructions live. Each word is in force at once; the answer is whether the disk has it too."""

    book: Book

    async def opt_out(self, id_: str, assets: Collection[str]) -> bool:
        """End the part of assets in an instruction."""


class Heard(NamedTuple):
    """What was done, and to which assets."""

    assets: list[str]
    what: str


UNSAVED = "; the disk has not taken it yet: until it does, a restart forgets it"


async def opt_out(question: Question, desk: Desk) -> Heard | str:
    """End the home's part in one instruction, or that of one asset; or say why not."""
    entry, asset = _meant(question, desk.book), question.get("asset")
    if isinstance(entry, str):
        return entry
    lives = [life for life in entry.lives if asset in (None, life.asset)]
    if not lives:
        return f"{entry.id} is not about {asset!r}; it is about {_names(entry)}"
    ending = [life.asset for life in lives if not life.status.is_end]
    if not ending:
        return Heard([life.asset for life in lives], f"no part in {entry.id} any more ({_ends(lives)})")
    saved = await desk.opt_out(entry.id, ending)
    return Heard(ending, f"opted out of {entry.id}{'' if saved else UNSAVED}")


def _meant(question: Question, book: Book) -> Entry | str:
    """The instruction that is meant, by its id or how that begins; or what there is."""
    id_ = question.get("id")
    entry = book.entry(id_) if isinstance(id_, str) else None
    begin_so = [e for e in book.current.values() if isinstance(id_, str) and id_ and e.id.startswith(id_)]
    meant = [e for e in ([entry] if entry else begin_so) if e.lives]
    if len(meant) == 1:
        return meant[0]
    there = ", ".join(entry.id for entry in book.current.values() if entry.is_open)
    which = "no one" if meant else "no"
    return f"{which} instruction {id_!r}; open: {there or 'none'}"


def _names(entry: Entry) -> str:
    return ", ".join(life.asset for life in entry.lives)


def _ends(lives: Collection[Life]) -> str:
    """How these lives ended: each way once."""
    ends = [
        life.status if life.reason is Reason.NONE else f"{life.status}, {life.reason}: {life.text}"
        for life in lives
    ]
    return "; ".join(dict.fromkeys(ends))
