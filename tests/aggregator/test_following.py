"""An instruction's end, as its statuses tell it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.aggregator.following import Ending, Following


def status(reception: str = "OK", revision: int = 0, **lives: str) -> dict[str, Any]:
    targets = [{"asset": asset, "status": life, "reason": "none"} for asset, life in lives.items()]
    return {
        "schema": "homeflex.status.v1",
        "id": "a",
        "revision": revision,
        "reception": reception,
        "targets": targets,
    }


@pytest.mark.parametrize(
    ("told", "ending"),
    [
        ([], None),
        ([status(ev="ACCEPTED")], None),
        ([status(ev="ACCEPTED", hp="REJECTED")], None),
        ([status(ev="STARTED"), status(ev="SUCCEEDED")], Ending.SUCCEEDED),
        ([status(ev="STARTED", hp="STARTED"), status(ev="SUCCEEDED")], None),
        ([status(ev="SUCCEEDED", hp="ABORTED")], Ending.IN_PART),
        ([status(ev="REJECTED")], Ending.NOT),
        ([status(ev="STARTED"), status(revision=1, ev="REVOKED")], Ending.NOT),
        ([status("EXPIRED")], Ending.NOT),
        ([status(ev="STARTED"), status("INVALID_CONTENT", 1)], None),
        ([status(), status("INVALID_CONTENT", 1)], None),
        ([status("INVALID_CONTENT"), status(revision=1, ev="SUCCEEDED")], Ending.SUCCEEDED),
    ],
)
def test_how_it_ended(told: list[dict[str, Any]], ending: Ending | None) -> None:
    following = Following("a")
    assert all(following.take(one) for one in told)
    assert following.ending == ending


def test_the_whole_is_no_asset_but_a_target_that_matched_none_counts() -> None:
    following = Following("a")
    whole = {"target": "site", "status": "STARTED", "reason": "none"}
    none = {"target": "class:heat", "status": "REJECTED", "reason": "unknownTarget"}
    following.take({**status(), "targets": [whole]})
    assert following.ending is None
    following.take({**status(), "targets": [whole, none]})
    assert following.ending is Ending.NOT


def test_a_summary_ends_it_for_who_came_late() -> None:
    following = Following("a")
    assets = [{"asset": "ev", "status": "SUCCEEDED"}]
    assert following.take({"schema": "homeflex.summary.v1", "id": "a", "assets": assets})
    assert following.ending is Ending.SUCCEEDED


def test_others_are_not_its_business() -> None:
    following = Following("b")
    assert not following.take(status(ev="SUCCEEDED"))
    assert following.ending is None
