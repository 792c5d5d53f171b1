"""The household's word on one instruction: it opts out of it; or accepts or declines what hands are to do.

The word is part of the instruction's life, so that no restart, repetition or revision takes it back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gateway.core.book import Decided
from gateway.core.life import Book, Entry, Now, Watch
from gateway.core.model import Reason
from gateway.core.status import lines, report

OPTED_OUT = "the household opted out"
DECLINED = "the household declined"
AGREED = "the household accepted it and does it by hand"


def opt_out(book: Book, id_: str, assets: Collection[str], now: Now) -> Decided:
    """The book after the household ended the part of `assets` in one instruction: for good, and with no
    delay of the return. What has ended already stays as it ended."""
    was = book.entry(id_)
    entry = was and _without(was, assets)
    if entry is None or entry == was:
        return Decided(book)
    watch = replace(book.watches.get(id_) or Watch(now.now_s), told_s=now.now_s)
    return Decided(book.with_entry(entry, watch), (report(entry),), (entry,))


def agree(book: Book, id_: str) -> Decided:
    """The book after the household accepted to do by hand what an open manual instruction asks.

    Its next status tells it. Nothing is moved for it, and a revision asks anew.
    """
    was = book.entry(id_)
    if was is None or was.agreed or not (was.is_manual and was.is_open and was.is_decided):
        return Decided(book)
    lives = tuple(
        life
        if life.status.is_end
        else replace(life, extent=None, evidence=None, reason=Reason.NONE, text=AGREED)
        for life in was.lives
    )
    entry = replace(was, lives=lives, agreed=True)
    return Decided(book.with_entry(entry, book.watches.get(id_)), entries=(entry,))


def with_word(entry: Entry, later: Entry) -> Entry:
    """The entry, with what the household has said of a `later` revision of it that is withdrawn."""
    return _without(entry, [life.asset for life in later.lives if life.text in (OPTED_OUT, DECLINED)])


def _without(entry: Entry, assets: Collection[str]) -> Entry:
    text = DECLINED if entry.is_manual else OPTED_OUT
    lives = tuple(
        life.aborted(Reason.USER_OVERRIDE, text) if life.asset in assets and not life.status.is_end else life
        for life in entry.lives
    )
    if lives == entry.lives:
        return entry
    entry = replace(entry, lives=lives)
    if not entry.is_open:
        entry = replace(entry, pending=None, let_go=True)
    return replace(entry, told=lines(entry))
