"""What the household says of its assets, and until when it means it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway import word
from gateway.core.model import Ability, Asset, AssetClass, Snapshot

LONDON = ZoneInfo("Europe/London")
EV = Asset("ev", AssetClass.EV, 7360, Ability((0,)))
HEAT = Asset("heat", AssetClass.HEAT, 2400, Ability((0,)))
BOILER = Asset("boiler", AssetClass.HEAT, 3000)


def utc_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOW_UTC_S = utc_s("2026-11-26T21:30:00Z")
HOME = Snapshot(100.0, NOW_UTC_S, True, (EV, HEAT, BOILER))


@dataclass
class Told:
    """A household that only listens."""

    heard: list[object] = field(default_factory=list)

    def override(self, asset: str | None, for_s: float, *, paused: bool = False) -> list[str]:
        """Note what was said."""
        self.heard.append((asset, for_s, paused))
        return [a.id for a in HOME.assets if a.ability.holds and asset in (None, a.id)]

    def charge_now(self, asset: str, most_s: float) -> None:
        """Not asked here."""
        raise AssertionError((asset, most_s))

    def type_in(self, asset: Asset, soc: float) -> None:
        """Not asked here."""
        raise AssertionError((asset, soc))


@pytest.mark.parametrize(
    ("now", "text", "meant"),
    [
        ("2026-11-26T21:30:00Z", "07:00", "2026-11-27T07:00:00Z"),
        ("2026-11-26T06:59:59Z", "07:00", "2026-11-26T07:00:00Z"),
        ("2026-11-26T07:00:00Z", "07:00", "2026-11-27T07:00:00Z"),
        ("2026-07-01T05:00:00Z", "07:00", "2026-07-01T06:00:00Z"),
        ("2026-11-26T21:30:00Z", "2026-11-28T07:00", "2026-11-28T07:00:00Z"),
        ("2026-07-01T05:00:00Z", "2026-07-03T07:00", "2026-07-03T06:00:00Z"),
        ("2026-03-28T12:00:00Z", "2026-03-29T07:00", "2026-03-29T06:00:00Z"),  # the night the clock goes on
        ("2026-03-28T23:00:00Z", "01:30", "2026-03-29T01:30:00Z"),  # left out that night: 02:30 on the wall
        ("2026-10-24T23:00:00Z", "01:30", "2026-10-25T00:30:00Z"),  # comes twice: the first ...
        ("2026-10-25T00:45:00Z", "01:30", "2026-10-25T01:30:00Z"),  # ... and, once that is past, the second
    ],
)
def test_a_moment_is_the_home_s_own_time(now: str, text: str, meant: str) -> None:
    assert word.moment_utc_s(text, LONDON, utc_s(now)) == utc_s(meant)


@pytest.mark.parametrize("text", ["7", "25:00", "07:00:00", "tomorrow", "", "2026-11-27", "2026-13-01T07:00"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert word.moment_utc_s(text, LONDON, NOW_UTC_S) is None


@pytest.mark.parametrize(
    ("question", "heard", "done"),
    [
        ({"ask": "pause", "asset": "ev", "for_s": 7200}, ("ev", 7200, True), (["ev"], "paused for 120 min")),
        (
            {"ask": "pause", "asset": "ev", "until": "07:00"},
            ("ev", 34_200, True),
            (["ev"], "paused for 9.5 h"),
        ),
        ({"ask": "pause", "asset": "ev", "for_s": 0}, ("ev", 0, False), (["ev"], "given over again")),
        (
            {"ask": "pause", "home": True, "for_s": 60},
            (None, 60, True),
            (["ev", "heat"], "paused for 60 s"),
        ),
        (
            {"ask": "override", "home": True, "until": "2026-11-26T22:00"},
            (None, 1800, False),
            (["ev", "heat"], "taken back for 30 min"),
        ),
        ({"ask": "override", "asset": "heat", "for_s": 0}, ("heat", 0, False), (["heat"], "override ended")),
    ],
)
def test_a_word_is_carried_out_as_it_was_said(
    question: Any, heard: object, done: tuple[list[str], str]
) -> None:
    told = Told()
    assert word.override(question, HOME, LONDON, told) == done
    assert told.heard == [heard]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ({"ask": "pause"}, "which asset? homeflex pause ev --for 2h would be right, --home is all of them"),
        ({"ask": "pause", "asset": "ev", "home": True}, "which asset?"),
        ({"ask": "pause", "asset": "ev", "for_s": 8 * 86_400}, "is not between 0 and 7 days"),
        ({"ask": "pause", "asset": "ev", "until": "2026-12-26T07:00"}, "is not between 0 and 7 days"),
        ({"ask": "pause", "asset": "ev", "until": "soon"}, "'soon' is no moment; 07:00 or 2026-11-27T07:00"),
        ({"ask": "pause", "asset": "ev", "until": 7}, "7 is no moment"),
        ({"ask": "pause", "asset": "ev", "until": "2026-11-26T07:00"}, "2026-11-26T07:00 is past"),
        ({"ask": "pause", "asset": "boiler", "for_s": 60}, "boiler is only watched: nothing holds it"),
        ({"ask": "pause", "asset": "kettle", "for_s": 60}, "no asset 'kettle'; there are ev, heat, boiler"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_would(question: Any, told: str) -> None:
    answer = word.override(question, HOME, LONDON, Told())
    assert isinstance(answer, str)
    assert told in answer


def test_without_a_trusted_clock_nobody_can_tell_a_moment() -> None:
    answer = word.override(
        {"ask": "pause", "asset": "ev", "until": "07:00"},
        replace(HOME, clock_trusted=False),
        LONDON,
        Told(),
    )
    assert answer == (
        "this home's clock is not trusted, nobody can tell when 07:00 is; --for 2h would be right"
    )
