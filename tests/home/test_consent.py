"""The household's word on an instruction, as the aggregator hears it."""

from __future__ import annotations

from pathlib import Path

from tests.home.aggregator import Sent, cap_body, stop_body
from tests.home.beside import beside
from tests.home.house import SITE, House


@beside
async def test_who_opts_out_stays_out_over_a_crash_a_replay_and_a_revision(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        await house.seen()
        sent = await house.aggregator.cap("asset:heat", 0.0)
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")
        code, answer = await house.cli("opt-out", sent.id)
        assert (code, answer) == (
            0,
            {"done": f"heat: opted out of {sent.id}; now heat runs by its own control"},
        )
        await house.until(lambda: not house.pump.is_told_to_rest, "the pump is its owner's", 3.0)
        await house.until(lambda: house.aggregator.said(sent.id, status="ABORTED"), "it has ended")
        line = house.aggregator.last(sent.id)
        assert (line["extent"], line["reason"], line["text"]) == (
            "none",
            "userOverride",
            "the household opted out",
        )
        (event,) = [event for event in house.aggregator.events() if event["kind"] == "override"]
        assert (event["asset"], event["reason"], event["dispatchIds"]) == ("heat", "userOverride", [sent.id])

        await house.kill()
        await house.start()
        await house.seen()
        begun = len(house.aggregator.statuses(sent.id))
        await house.aggregator.publish("dispatch", sent.token)
        revision = {**cap_body(SITE, "asset:heat", 0.0), "id": sent.id, "revision": 1}
        await house.aggregator.send(revision)
        await house.until(lambda: len(house.aggregator.statuses(sent.id)) == begun + 2, "two answers")
        again, revised = house.aggregator.statuses(sent.id)[begun:]
        assert (again["reception"], again["targets"][0]["status"]) == ("OK", "ABORTED")
        assert revised["reception"] == "REPLAYED"
        assert not house.pump.is_told_to_rest


@beside
async def test_a_delay_that_is_skipped_is_told_as_it_was_taken(folder: Path) -> None:
    async with House(folder) as house:
        await house.start()
        await house.seen()
        sent = await _delayed(house)
        while house.aggregator.last(sent.id)["delayS"] < 60:  # over before anyone says a word
            await house.aggregator.cancel(sent.id)
            sent = await _delayed(house)
        assert house.aggregator.last(sent.id)["status"] == "ACCEPTED"
        code, _ = await house.cli("skip-delay", sent.id)
        assert code == 0
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")
        assert house.aggregator.last(sent.id)["delayS"] < 60 * house.pace
        await house.until(lambda: house.pump.blocked, "the pump rests")

        await house.aggregator.send({**stop_body(SITE, "cancel", sent.id, 1), "endDelay": "PT30M"})
        await house.until(lambda: house.aggregator.said(sent.id, status="REVOKED"), "it has ended")
        drawn_s = house.aggregator.last(sent.id)["endDelayS"]
        await house.cli("skip-delay")
        await house.until(lambda: not house.pump.is_told_to_rest, "the pump is its owner's")
        if drawn_s > 60 * house.pace:
            await house.until(lambda: house.aggregator.last(sent.id)["endDelayS"] < drawn_s, "it is told")
        events = [event for event in house.aggregator.events() if event["kind"] == "override"]
        assert all((e["reason"], e["dispatchIds"]) == ("userOverride", [sent.id]) for e in events)
        assert events[0]["text"] == f"random delay of the start of {sent.id} skipped by the household"


@beside
async def test_what_hands_are_asked_is_answered_and_shows_at_the_boundary(folder: Path) -> None:
    async with House(folder) as house:
        await house.start(minute_ends_in_s=25)
        await house.seen()
        by_hand = {**cap_body(SITE, "site", 2.0), "vector": "manual"}
        sent = await house.aggregator.send(by_hand)
        await house.until(lambda: house.aggregator.statuses(sent.id), "an answer")
        line = house.aggregator.last(sent.id)
        assert (line["status"], line["reason"], "extent" in line) == ("ACCEPTED", "manual", False)
        declined = await house.aggregator.send({**cap_body(SITE, "asset:heat", 1.0), "vector": "manual"})
        await house.until(lambda: house.aggregator.statuses(declined.id), "an answer")
        assert (await house.cli("decline", declined.id))[0] == 0
        await house.until(lambda: house.aggregator.said(declined.id, status="ABORTED"), "it has ended")
        assert house.aggregator.last(declined.id)["reason"] == "userOverride"

        await house.until(lambda: house.aggregator.said(sent.id, extent="none"), "its window has begun")
        assert (await house.cli("accept", sent.id))[0] == 0
        house.pump.demand_w = 100  # someone turns it down
        await house.until(lambda: house.aggregator.said(sent.id, status="STARTED"), "it has started")
        started = house.aggregator.last(sent.id)
        assert (started["extent"], started["evidence"], started["reason"]) == ("full", "measured", "none")
        assert not house.pump.is_told_to_rest
        await house.until(
            lambda: any(sent.id in m["dispatchIds"] for m in house.aggregator.minutes("boundary")),
            "a minute of the boundary",
            40,
        )
        assert not any(m["dispatchIds"] for m in house.aggregator.minutes("heat"))


async def _delayed(house: House) -> Sent:
    """A cap with random delays of half an hour at most, accepted."""
    body = cap_body(SITE, "asset:heat", 0.0, end_delay="PT30M")
    sent = await house.aggregator.send({**body, "startDelay": "PT30M"})
    await house.until(lambda: house.aggregator.statuses(sent.id), "an answer")
    return sent
