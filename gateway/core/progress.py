"""How lives go on: started, held, limited, ended and summed up, from the plan and from what is seen.

The plan says what an instruction gets; measurement says whether it is so. Nothing here acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.core.book import ineligible
from gateway.core.consent import AGREED
from gateway.core.eligibility import Home
from gateway.core.following import band_w, evidenced, follow, is_inside, is_out_of_patience, measured_w
from gateway.core.life import (
    UNANSWERED,
    Book,
    Entry,
    Evidence,
    Following,
    Life,
    Now,
    Report,
    Reported,
    Seen,
    Status,
    Summary,
    Watch,
    begin_utc_s,
)
from gateway.core.model import (
    Ability,
    Asset,
    AssetClass,
    Extent,
    Given,
    Instruction,
    Kind,
    Plan,
    Reading,
    Reason,
)
from gateway.core.status import lines, report
from gateway.core.tally import counted, summed

_HANDS = Asset("boundary", AssetClass.HEAT, 0, Ability(raises=True))  # as slow as the slowest class
TOLD_EVERY_S = 5.0  # contract: statuses of one instruction; ends at once


@dataclass(frozen=True, slots=True)
class Progress:
    """What a look at the home changed. Journal `entries` before `reports` and `summaries` are sent.

    Seconds counted since the last status are in `book.current` only: write it down now and then.
    """

    book: Book
    reports: tuple[Report, ...] = ()
    summaries: tuple[Summary, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the home. `own_w`: what assets already acted on drew by themselves, from other lives."""

    given: Mapping[tuple[str, str], Given]
    seen: Mapping[str, Seen]
    assets: Mapping[str, Asset]
    home: Home
    moment: Now
    boundary: Reading | None
    own_w: Mapping[str, float]


def progress(
    book: Book, plan: Plan, seen: Mapping[str, Seen], home: Home, now: Now, boundary: Reading | None = None
) -> Progress:
    """The book after a look at what `plan` gives and at what is seen of each asset (by id).

    `boundary` is the net power at the supply (W, import positive); None where it is not known.
    """
    look = _Look(
        given={(given.instruction, given.asset): given for given in plan.given},
        seen=seen,
        assets={asset.id: asset for asset in home.assets},
        home=home,
        moment=now,
        boundary=boundary,
        own_w={life.asset: life.own_w for life in _open_lives(book) if life.own_w is not None},
    )
    current: dict[str, Entry] = {}
    past, watches = dict(book.past), {}
    reports: list[Report] = []
    summaries: list[Summary] = []
    changed: list[Entry] = []
    for was in book.current.values():
        entry, watch = _advanced(was, book.watches.get(was.id) or Watch(now.now_s), look)
        entry, watch, status = _told(entry, watch, look)
        entry, summary = summed(entry, watch, now)
        (past if entry.is_done else current)[entry.id] = entry
        watches[entry.id] = watch
        reports += [status] if status else []
        summaries += [summary] if summary else []
        if status or summary or (entry.let_go, entry.ended_utc_s) != (was.let_go, was.ended_utc_s):
            changed.append(entry)
    watches = {id_: watch for id_, watch in watches.items() if id_ in current}
    book = replace(book, current=current, past=past, watches=watches)
    return Progress(book, tuple(reports), tuple(summaries), tuple(changed))


def _open_lives(book: Book) -> list[Life]:
    acted_on = [entry for entry in book.current.values() if not entry.is_manual]
    return [life for entry in acted_on for life in entry.lives if not life.status.is_end]


# --- time ---------------------------------------------------------------------------------------------


def _advanced(entry: Entry, watch: Watch, look: _Look) -> tuple[Entry, Watch]:
    instruction, now = entry.instruction, look.moment
    if instruction and entry.is_decided and entry.is_open:
        watch = _clocked(watch, instruction, now)
        lived = [_lived(life, entry, instruction, watch, look) for life in entry.lives]
        entry = replace(entry, lives=tuple(life for life, _ in lived))
        following = {life.asset: followed for life, followed in lived if followed}
        watch = replace(watch, following=following)
    if not entry.is_open and watch.ended_s is None:
        watch = replace(watch, ended_s=_ended_s(entry, now))
        entry = entry if entry.ended_utc_s is not None else replace(entry, ended_utc_s=now.utc_s)
    if instruction and not entry.is_open and not entry.let_go:
        entry = replace(entry, let_go=_has_returned(entry, instruction, watch, now))
    gap = Reason.CLOCK_UNTRUSTED if now.clock_trusted else watch.gap
    return entry, replace(watch, at_s=now.now_s, gap=gap)


def _clocked(watch: Watch, instruction: Instruction, now: Now) -> Watch:
    """Once begun, the end is the earliest a trusted clock ever gave: a wrong one may only shorten."""
    if not now.clock_trusted or now.utc_s < begin_utc_s(instruction):
        return watch
    return replace(watch, end_s=min(watch.end_s, now.now_s + instruction.end_utc_s - now.utc_s))


def _is_over(instruction: Instruction, watch: Watch, now: Now) -> bool:
    return now.now_s >= watch.end_s or (now.clock_trusted and now.utc_s >= instruction.end_utc_s)


def _has_returned(entry: Entry, instruction: Instruction, watch: Watch, now: Now) -> bool:
    """Whether the delayed return is over. With no clock to tell its end, nothing is held."""
    if not any(life.status in {Status.SUCCEEDED, Status.REVOKED} for life in entry.lives):
        return True
    if now.clock_trusted and now.utc_s >= instruction.end_utc_s + instruction.end_delay_s:
        return True
    if not watch.has_begun:
        return not now.clock_trusted
    return now.now_s >= watch.end_s + instruction.end_delay_s


def _ended_s(entry: Entry, now: Now) -> float:
    """When the last life ended, by this run's clock; a restart in between is bridged by trusted UTC."""
    ago_s = now.utc_s - entry.ended_utc_s if entry.ended_utc_s is not None and now.clock_trusted else 0.0
    return now.now_s - max(0.0, ago_s)


# --- one life -----------------------------------------------------------------------------------------


def _lived(
    life: Life, entry: Entry, instruction: Instruction, watch: Watch, look: _Look
) -> tuple[Life, Following | None]:
    if life.status.is_end:
        return life, None
    following = watch.following.get(life.asset)
    life = counted(life, following, instruction, watch, look.moment)
    asset = look.assets.get(life.asset)
    if asset is None:
        return life.aborted(Reason.NOT_ELIGIBLE, f"{life.asset} is no longer configured"), None
    if _is_over(instruction, watch, look.moment):
        return _ended(life), None
    if not watch.has_begun:
        return life, None
    if entry.is_manual:
        return _by_hand(life, following, entry.agreed, instruction, asset, look)
    given = look.given.get((instruction.id, asset.id))
    return _standing(life, following, instruction, given, asset, look)


def _ended(life: Life) -> Life:
    """The window's end was reached: SUCCEEDED if it had STARTED, whatever the extent."""
    if life.status is Status.STARTED:
        return replace(life, status=Status.SUCCEEDED)
    longest = max(life.limited_s, key=lambda limit: limit[1], default=(Reason.NONE, 0.0))[0]
    reason = longest if life.reason is Reason.NONE else life.reason
    return life.aborted(reason, life.text or "the window ended before it was seen to follow")


def _standing(
    life: Life,
    was: Following | None,
    instruction: Instruction,
    given: Given | None,
    asset: Asset,
    look: _Look,
) -> tuple[Life, Following | None]:
    """How the life stands inside its window, and how the asset follows."""
    seen = look.seen.get(asset.id, Seen(online=False))
    power_w = measured_w(seen)
    life = replace(
        life,
        measured_w=None if power_w is None else round(power_w),
        limit_w=given.granted_w if given else None,
    )
    if given is None or given.extent is Extent.NONE:
        reason, text = _ungiven(instruction, given, asset, look)
        return _none(replace(life, own_w=None), reason, text), None
    if not seen.online:
        return _none(life, Reason.DEVICE_OFFLINE, "the device does not answer"), was
    if seen.refused:
        return _none(life, Reason.DEVICE_REFUSED, "the device refused what it was told"), was
    return _measured(life, was, given, asset, seen, look)


def _by_hand(
    life: Life,
    was: Following | None,
    agreed: bool,
    instruction: Instruction,
    asset: Asset,
    look: _Look,
) -> tuple[Life, Following | None]:
    """How the life of a manual instruction stands. What hands do shows at the boundary only, so that it can
    be told of the site as a whole; of an asset the household's word is all there is."""
    if why := ineligible(instruction, asset, look.home):
        return _none(life, why.reason, why.text), None
    if not agreed:
        return _none(life, Reason.MANUAL, UNANSWERED), None
    utc_s = look.moment.utc_s
    step = [s for s in instruction.steps if s is instruction.steps[0] or s.start_utc_s <= utc_s][-1]
    if not instruction.scope.site or step.kind is Kind.SOC:
        return replace(life, extent=None, evidence=None, reason=Reason.NONE, text=AGREED), None
    if look.boundary is None:
        return _none(life, Reason.METER_STALE, "the boundary meter is silent"), was
    asked = Given(instruction.id, asset.id, step.kind, step.power_w, None, Extent.FULL, Reason.NONE, AGREED)
    return _measured(life, was, asked, _HANDS, Seen(power=look.boundary), look)


def _measured(
    life: Life, was: Following | None, given: Given, asset: Asset, seen: Seen, look: _Look
) -> tuple[Life, Following | None]:
    power_w = measured_w(seen)
    band = band_w(given, asset)
    if power_w is not None and not is_inside(power_w, band):
        life = replace(life, own_w=power_w)
    elif was is None and life.own_w is None:
        life = replace(life, own_w=look.own_w.get(asset.id, power_w))
    following = follow(was, given, asset, seen, look.moment.now_s)
    if following.follows:
        life = _followed(life, given, band, power_w, look.moment)
    life = evidenced(life, following, seen, look.moment)
    if following.follows:
        return life, following
    if is_out_of_patience(following, asset, seen, look.moment.now_s):
        return _none(life, *_unfollowed(given, asset, power_w, band)), following
    return life, following


def _followed(life: Life, given: Given, band: tuple[float, float], power_w: float | None, now: Now) -> Life:
    evidence = Evidence.READ_BACK
    if power_w is not None:
        evidence = Evidence.IDLE if is_inside(life.own_w, band) else Evidence.MEASURED
    return replace(
        life,
        status=Status.STARTED,
        extent=given.extent,
        evidence=evidence,
        reason=given.reason,
        text=given.text,
        followed_utc_s=now.utc_s if life.followed_utc_s is None else life.followed_utc_s,
    )


def _none(life: Life, reason: Reason, text: str) -> Life:
    return replace(life, extent=Extent.NONE, evidence=None, reason=reason, text=text)


def _ungiven(instruction: Instruction, given: Given | None, asset: Asset, look: _Look) -> tuple[Reason, str]:
    if given:
        return given.reason, given.text
    if why := ineligible(instruction, asset, look.home):
        return why.reason, why.text
    if not look.moment.clock_trusted:
        return Reason.CLOCK_UNTRUSTED, "this home's clock is not trusted"
    return Reason.NONE, "not in the present plan"


def _unfollowed(
    given: Given, asset: Asset, power_w: float | None, band: tuple[float, float]
) -> tuple[Reason, str]:
    if power_w is None:
        return Reason.METER_STALE, "nothing fresh says what it draws"
    text = f"draws {power_w / 1000:.2f} kW, asked for {_words(given)} {given.asked_w / 1000:.2f} kW"
    # A charger can be asked to draw more, its car cannot: a full one takes what it takes. What heats can by a
    # floor alone.
    is_raised = given.kind is Kind.FLOOR and asset.ability.raises
    may_draw_less = asset.asset_class is AssetClass.EV or not is_raised
    if power_w < band[0] and may_draw_less:
        return Reason.NO_DEMAND, text
    return Reason.NOT_FOLLOWING, text


def _words(given: Given) -> str:
    return {Kind.CAP: "at most", Kind.FLOOR: "at least", Kind.SOC: "at least"}.get(given.kind, "about")


# --- telling ------------------------------------------------------------------------------------------


def _told(entry: Entry, watch: Watch, look: _Look) -> tuple[Entry, Watch, Report | None]:
    """The entry with its status told, if there is something new and it is time."""
    found = lines(entry, look.boundary.value if look.boundary else None)
    if [_gist(line) for line in found] == [_gist(line) for line in entry.told]:
        return entry, watch, None
    has_ended = sum(line.status.is_end for line in found) > sum(line.status.is_end for line in entry.told)
    if not has_ended and look.moment.now_s - watch.told_s < TOLD_EVERY_S:
        return entry, watch, None
    entry = replace(entry, told=found)
    return entry, replace(watch, told_s=look.moment.now_s), report(entry)


def _gist(line: Reported) -> tuple[object, ...]:
    """What of a line is news; powers and words change every second."""
    stands = line.asset, line.target, line.status, line.extent, line.evidence, line.reason
    return *stands, line.delay_s, line.end_delay_s
