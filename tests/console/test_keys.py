"""What a person is told of the keys: by their own clock, and in words whether each counts."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

import pytest

from gateway.daemon.keys import Held, Source
from gateway.keys import told
from gateway.wire.keys import parse_keys, root_of
from tests.wire.bodies import NOW_UTC_S, SITE, moment
from tests.wire.test_signature import key, x_of

LONDON = ZoneInfo("Europe/London")
DAY_S, HOUR_S = 86_400, 3600
SECRET = bytes([9]) * 32


def held(begins_s: float = -DAY_S, ends_s: float = DAY_S, role: str = "dispatch") -> Held:
    """A store with one key that is valid from and to so long from now."""
    times = {"notBefore": moment(NOW_UTC_S + begins_s), "notAfter": moment(NOW_UTC_S + ends_s)}
    body = {
        "schema": "homeflex.keys.v1",
        "site": SITE,
        "version": 3,
        "keys": [key("agg", SECRET, role, **times)],
    }
    return Held(parse_keys(json.dumps(body).encode(), SITE), Source.REMOTE)


@pytest.mark.parametrize(
    ("begins_s", "ends_s", "counts", "text"),
    [
        (-DAY_S, 12.5 * DAY_S, True, "valid for 12 more days"),
        (-DAY_S, 2 * DAY_S, True, "valid for 2 more days"),
        (-DAY_S, 1.5 * DAY_S, True, "valid for 36.0 h more"),
        (0, HOUR_S, True, "valid for 60 min more"),
        (1, DAY_S, False, "not yet: in 1 s"),
        (3.2 * DAY_S, 9 * DAY_S, False, "not yet: in 3 days"),
        (-9 * DAY_S, 0, False, "expired 0 s ago"),
        (-9 * DAY_S, -3.9 * DAY_S, False, "expired 3 days ago"),
    ],
)
def test_a_key_says_whether_it_counts_now(begins_s: float, ends_s: float, counts: bool, text: str) -> None:
    (line,) = told(None, held(begins_s, ends_s), LONDON, NOW_UTC_S)["keys"]
    assert (line["kid"], line["role"], line["counts"], line["text"]) == ("agg", "dispatch", counts, text)


def test_without_a_trusted_clock_every_key_counts() -> None:
    (line,) = told(None, held(-9 * DAY_S, -DAY_S), LONDON, None)["keys"]
    assert line["counts"]
    assert "clock is not trusted" in line["text"]


def test_times_are_the_homes_own() -> None:
    summer_s = 200 * DAY_S  # 2027-06-11
    (line,) = told(None, held(0, summer_s), LONDON, NOW_UTC_S)["keys"]
    assert line["not_before"] == "2026-11-23T17:00:00+00:00"
    assert line["not_after"] == "2027-06-11T18:00:00+01:00"


def test_the_root_is_shown_by_its_fingerprint_beside_what_is_in_force() -> None:
    root = root_of(x_of(bytes(range(32))))
    answer = told(root, held(), LONDON, NOW_UTC_S)
    assert (answer["root"], answer["version"], answer["source"]) == (root.fingerprint, 3, "remote")


def test_a_home_without_a_trust_store_says_so() -> None:
    assert told(None, None, LONDON, NOW_UTC_S) == {"root": None, "version": None, "source": None, "keys": []}
