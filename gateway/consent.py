"""The household's word on what the aggregator asks: it opts out of one, skips a random delay, and accepts or
declines what its hands are to do."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from gateway.console.answers import Question
from gateway.core.delay import Delay, waiting
from gateway.core.life import Book, Entry, Life
from gateway.core.model import Kind, Reason, Step


class Desk(Protocol):
    """Where instructions live. Each word is in force at once; the answer is whether the disk has it too."""

    book: Book

    async def opt_out(self, id_: str, assets: Collection[str]) -> bool:
        """End the part of assets in an instruction."""

    async def agree(self, id_: str) -> bool:
        """Do by hand what an instruction asks."""

    async def skip_delay(self, ids: Collection[str]) -> bool:
        """Skip what is left of the random delays of instructions."""

    def running_delay(self, id_: str) -> Delay | None:
        """The random delay of an instruction that runs now."""


class Schedules(Protocol):
    """The household's own schedules."""

    def skip_delay(self, assets: Collection[str]) -> None:
        """Skip what is left of the random delays of these assets' schedules."""


class Heard(NamedTuple):
    """What was done, and to which assets."""

    assets: list[str]
    what: str


UNSAVED = "; the disk has not taken it yet: until it does, a restart forgets it"


async def opt_out(question: Question, desk: Desk) -> Heard | str:
    """End the home's part in one instruction, or that of one asset; or say why not."""
    entry, asset = _meant(question.get("id"), desk.book), question.get("asset")
    if isinstance(entry, str):
        return entry
    lives = [life for life in entry.lives if asset in (None, life.asset)]
    if not lives:
        return f"{entry.id} is not about {asset!r}; it is about {_names(entry)}"
    ending = [life.asset for life in lives if not life.status.is_end]
    if not ending:
        still = f"; `homeflex skip-delay {entry.id}` lets go now" if desk.running_delay(entry.id) else ""
        gone = f"no part in {entry.id} any more ({_ends(lives)}){still}"
        return Heard([life.asset for life in lives], gone)
    saved = await desk.opt_out(entry.id, ending)
    done = "declined" if entry.is_manual else "opted out of"
    return Heard(ending, f"{done} {entry.id}{'' if saved else UNSAVED}")


class Waiting(NamedTuple):
    """What waits: instructions, and assets for so long (s) for their own schedules; and what was asked of."""

    entries: list[Entry]
    own_s: dict[str, float]
    whose: str = ""


async def skip_delay(
    question: Question, desk: Desk, schedules: Schedules, own_left_s: Mapping[str, float | None]
) -> Heard | str:
    """Skip what is left of the random delay of an instruction, of an asset, or of all; or say why not.

    `own_left_s`: of each asset, how long it still waits for the delay of its own schedule, if it does.
    """
    meant = _waiting(question.get("id"), desk, own_left_s)
    if isinstance(meant, str):
        return meant
    running = {entry.id: found for entry in meant.entries if (found := desk.running_delay(entry.id))}
    if not running and not meant.own_s:
        return Heard([], f"no random delay runs{meant.whose}")
    assets = [*meant.own_s, *(asset for entry in meant.entries for asset in sorted(waiting(entry)))]
    if meant.own_s:
        schedules.skip_delay(meant.own_s)
    saved = not running or await desk.skip_delay(list(running))
    done = [f"the schedule of {id_} goes on now, {span(left)} early" for id_, left in meant.own_s.items()]
    done += [
        f"{id_} {'lets go' if found.of_return else 'starts'} now, {span(found.left_s)} early"
        for id_, found in running.items()
    ]
    return Heard(list(dict.fromkeys(assets)), f"{', '.join(done)}{'' if saved else UNSAVED}")


def _waiting(meant: str | None, desk: Desk, own_left_s: Mapping[str, float | None]) -> Waiting | str:
    """What waits of an asset or instruction, or of all; or what there is."""
    entries = [entry for entry in desk.book.current.values() if desk.running_delay(entry.id)]
    own_s = {id_: left_s for id_, left_s in own_left_s.items() if left_s is not None}
    if meant is None:
        return Waiting(entries, own_s)
    if meant in list(own_left_s):
        mine = [entry for entry in entries if meant in waiting(entry)]
        return Waiting(mine, {id_: own_s[id_] for id_ in own_s if id_ == meant}, f" for {meant}")
    entry = _meant(meant, desk.book)
    if isinstance(entry, str):
        return f"{entry}; assets: {', '.join(own_left_s) or 'none'}"
    return Waiting([entry], {}, f" for {entry.id}")


async def answer(question: Question, desk: Desk) -> Heard | str:
    """Accept or decline what a manual instruction asks of hands; or say why not."""
    entry = _meant(question.get("id"), desk.book)
    if isinstance(entry, str):
        return entry
    if not entry.is_manual:
        right = f"`homeflex opt-out {entry.id}` ends the home's part in it"
        return f"{entry.id} is the hub's to carry out; {right}"
    if question.get("ask") == "decline" or not entry.is_open:
        return await opt_out({"ask": "opt-out", "id": entry.id}, desk)
    if not entry.is_decided:
        return f"{entry.id} waits until this home's clock is trusted; it can be declined, not accepted yet"
    saved = await desk.agree(entry.id)
    return Heard([], f"accepted {entry.id}: {asked(entry, 0.0)}, by hand{'' if saved else UNSAVED}")


WORDS = {"opt-out": opt_out, "accept": answer, "decline": answer}


def choice(entry: Entry) -> str:
    """What the household may still say to a manual instruction, to follow its words."""
    if not entry.is_manual:
        return ""
    decline = f"`homeflex decline {entry.id}`"
    return f"; {decline}" if entry.agreed else f"; `homeflex accept {entry.id}` or {decline}"


def asked(entry: Entry, utc_s: float) -> str:
    """What is asked of whom, by the step that holds or comes next."""
    instruction = entry.instruction
    if instruction is None:
        return ""
    coming = [step for step in instruction.steps if step.end_utc_s > utc_s] or [instruction.steps[-1]]
    more = f", then {len(coming) - 1} more steps" if len(coming) > 1 else ""
    return f"{' + '.join(target.name for target in entry.targets)} {_wanted(coming[0])}{more}"


def _wanted(step: Step) -> str:
    if step.kind is Kind.SOC:
        return f"charged to {step.soc or 0:.0%}"
    level = "" if step.level is None else f" (SIMPLE, level {step.level})"
    if step.level == 0:
        return f"as it likes{level}"
    words = {Kind.CAP: "at most", Kind.FLOOR: "at least"}
    return f"{words.get(step.kind, 'about')} {step.power_w / 1000:.2f} kW{level}"


def own_countdown(left_s: float) -> str:
    """The delay of an asset's own schedule, as a person reads it, and what ends it."""
    return f"{span(left_s)} of it are left; `homeflex skip-delay` ends it now"


def countdown(found: Delay) -> str:
    """A delay that runs, as a person reads it, and what ends it."""
    begins, now = ("lets go", "lets go now") if found.of_return else ("starts", "starts it now")
    return f"{begins} in {span(found.left_s)} of a random delay; `homeflex skip-delay` {now}"


def span(seconds: float) -> str:
    """How long, to the second."""
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def _meant(id_: str | None, book: Book) -> Entry | str:
    """The instruction that is meant, by its id or how that begins; or what there is."""
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
