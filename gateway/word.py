"""The household's word on its assets: taken back or paused, for a time or until a moment of its own clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.cars import Household, number
from gateway.console.answers import Question
from gateway.core.model import Snapshot
from gateway.core.span import in_words

LONGEST_S = 7 * 86_400.0
RIGHT = "07:00 or 2026-11-27T07:00, both local, would be right"


class Said(NamedTuple):
    """What was done to which assets."""

    assets: list[str]
    what: str


def override(question: Question, snapshot: Snapshot, zone: ZoneInfo, household: Household) -> Said | str:
    """Take an asset or the whole home back, or pause it, or end that; or say why not."""
    is_pause = question.get("ask") == "pause"
    asset = question.get("asset")
    if (asset is None) is not (question.get("home") is True):
        verb, example = ("pause", "ev") if is_pause else ("override", "heat")
        return f"which asset? homeflex {verb} {example} --for 2h would be right, --home is all of them"
    for_s = _lasts_s(question, snapshot, zone, 0.0)
    if isinstance(for_s, str):
        return for_s
    if not for_s:
        return _done(household, snapshot, asset, 0.0, "given over again" if is_pause else "override ended")
    return _done(household, snapshot, asset, for_s, "paused" if is_pause else "taken back", paused=is_pause)


def release(question: Question, snapshot: Snapshot, zone: ZoneInfo, household: Household) -> Said | str:
    """Give assets back to their owner for a while; or say why not."""
    for_s = _lasts_s(question, snapshot, zone, 3600.0)
    if for_s == 0:
        return "for how long? homeflex release --for 1h would be right"
    if isinstance(for_s, str):
        return for_s
    return _done(household, snapshot, question.get("asset"), for_s, "given back")


def moment_utc_s(text: str, zone: ZoneInfo, now_utc_s: float) -> float | None:
    """A moment in the home's own time, as in 07:00 (the next one) or 2026-11-27T07:00; None: it is none.

    Of an hour that comes twice the next one is meant; one that is left out is read as if it were not.
    """
    now = datetime.fromtimestamp(now_utc_s, UTC).astimezone(zone)
    try:
        if len(text) == len("07:00"):
            at = time.fromisoformat(text)
            days = [now.date() + timedelta(days=n) for n in (0, 1, 2)]
            meant = [datetime.combine(day, at) for day in days]
        else:
            meant = [datetime.strptime(text, "%Y-%m-%dT%H:%M")]  # noqa: DTZ007  # local, made aware below
    except ValueError:
        return None
    moments = [naive.replace(tzinfo=zone, fold=fold).timestamp() for naive in meant for fold in (0, 1)]
    return next((utc_s for utc_s in moments if utc_s > now_utc_s), moments[-1])


def _lasts_s(question: Question, snapshot: Snapshot, zone: ZoneInfo, otherwise: float) -> float | str:
    """How long the household means (s), or what is wrong with it."""
    until = question.get("until")
    if until is None:
        for_s = number(question.get("for_s"), otherwise)
    elif not snapshot.clock_trusted:
        return f"this home's clock is not trusted, nobody can tell when {until} is; --for 2h would be right"
    else:
        utc_s = moment_utc_s(until, zone, snapshot.utc_s) if isinstance(until, str) else None
        if utc_s is None:
            return f"{until!r} is no moment; {RIGHT}"
        for_s = utc_s - snapshot.utc_s
        if for_s <= 0:
            return f"{until} is past; {RIGHT}"
    if not 0 <= for_s <= LONGEST_S:
        return f"{for_s:g} s is not between 0 and 7 days"
    return for_s


def _done(
    household: Household,
    snapshot: Snapshot,
    asset: str | None,
    for_s: float,
    what: str,
    *,
    paused: bool = False,
) -> Said | str:
    meant = household.override(asset, for_s, paused=paused)
    if meant:
        lasts = f" for {in_words(for_s)}" if for_s else ""
        return Said(meant, f"{what}{lasts}")
    names = ", ".join(a.id for a in snapshot.assets) or "none"
    if any(a.id == asset for a in snapshot.assets):
        return f"{asset} is only watched: nothing holds it"
    if asset is None:
        return (
            "nothing here is held: no asset has a `control`" if snapshot.assets else "no asset is configured"
        )
    return f"no asset {asset!r}; there are {names}"
