"""What is played with the network: scene 7, the broker goes; scene 8, what must not be obeyed."""

from __future__ import annotations

import asyncio

from gateway.demo import saboteur
from gateway.demo.aggregator import forged, set_body
from gateway.demo.judge.network import LARGEST_BYTES
from gateway.demo.judge.posture import freezer_is_on, pump_is_free, pump_is_held
from gateway.demo.play.prompter import Prompter, answered, followed, minute, second
from gateway.demo.play.pump import TARGET
from gateway.demo.setting import EV, FREEZER, HEAT, SITE

_BEFORE_S, _AFTER_S = 4.0, 3.0  # of the minute's edge, without a broker
_HELD_S = 9.0  # and held with one before; three seconds of it must be left
_EVERYTHING = [f"asset:{asset}" for asset in (EV, HEAT, FREEZER)]


async def refused(prompter: Prompter) -> None:
    """Scene 8: forged, replayed, too large; each would stop everything."""
    stage, log = prompter.stage, prompter.log
    await prompter.until(second(lambda s: pump_is_free(s) and freezer_is_on(s)), 8.0)
    async with prompter.scene(8):
        began_utc_s = log.now_utc_s()
        body = set_body(SITE, TARGET, 0.0, began_utc_s, 1800, service="tcm") | {"targets": _EVERYTHING}
        await stage.aggregator.send_as_stranger(forged(body), scene=8, what="forged")
        await prompter.until(answered("INVALID_SIGNATURE"), 5.0, began_utc_s)
        await stage.aggregator.send_as_stranger(_captured(prompter, 2), scene=8, what="replayed")
        await prompter.until(answered("REPLAYED"), 5.0, began_utc_s)
        await stage.aggregator.send(body, scene=8, what="oversized", blanks=LARGEST_BYTES)
        await prompter.until(answered("TEMPORARY_ERROR"), 5.0, began_utc_s)
        if prompter.sabotage == 8:
            await saboteur.replay_block(stage.ports.pump)
        await asyncio.sleep(4.0)


async def broker_gone(prompter: Prompter, edge_utc_s: float) -> None:
    """Scene 7: an instruction runs, the broker goes over the edge of a minute, and comes back."""
    if prompter.log.now_utc_s() > edge_utc_s - _BEFORE_S - 3.0:
        edge_utc_s += 60.0
    await prompter.sleep_until(edge_utc_s - _BEFORE_S - _HELD_S)
    async with prompter.scene(7):
        order = await prompter.cap(7, TARGET, service="demo")
        await prompter.until(second(pump_is_held), 10.0)
        await prompter.until(followed(order.id, HEAT), 8.0, order.at_utc_s)
        await prompter.sleep_until(edge_utc_s - _BEFORE_S)
        async with prompter.without_broker():
            await prompter.sleep_until(edge_utc_s + _AFTER_S)
        await prompter.until(minute(edge_utc_s), 20.0, 0.0)
        await prompter.cancel(order.id, 7)


def _captured(prompter: Prompter, scene: int) -> str:
    """The text of a scene's instruction, as anybody on the broker could have kept it."""
    sent = (one.facts for one in prompter.log.observations if one.kind == "sent")
    return next(str(facts["text"]) for facts in sent if (facts["scene"], facts["what"]) == (scene, "set"))
