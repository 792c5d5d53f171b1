"""What is played with `kill -9`: scene 6, with car, pump and freezer held by one instruction."""

from __future__ import annotations

import asyncio

from gateway.demo.judge.posture import (
    car_is_free,
    car_within,
    freezer_is_off,
    freezer_is_on,
    pump_is_free,
    pump_is_held,
)
from gateway.demo.play.prompter import Prompter, followed, second
from gateway.demo.setting import EV, FREEZER, HEAT, LONGEST_OFF_S, WATCHDOG_S

ALL = (EV, HEAT, FREEZER)
_TOTAL_W = 1600.0  # the least a car can take, and the freezer whenever it has to be on
_HELD_S = 8.0  # at the least, before the kill
_BEFORE_LONGEST_OFF_S = 4.0


async def kill(prompter: Prompter) -> None:
    """Scene 6: the last to come back is the pump, by its watchdog."""
    log = prompter.log
    async with prompter.scene(6):
        order = await prompter.cap(6, *(f"asset:{asset}" for asset in ALL), cap_w=_TOTAL_W, service="tcm")
        begun_utc_s = order.at_utc_s
        await prompter.until(
            second(lambda s: s.together_w <= _TOTAL_W and pump_is_held(s) and freezer_is_off(s)), 15.0
        )
        held_utc_s = log.now_utc_s()
        await prompter.until(followed(order.id, *ALL), 12.0, begun_utc_s)
        await prompter.sleep_until(
            min(held_utc_s + _HELD_S, begun_utc_s + LONGEST_OFF_S - _BEFORE_LONGEST_OFF_S)
        )
        prompter.stage.daemon.kill()
        await prompter.sleep_until(begun_utc_s + WATCHDOG_S - 2.0)
        await prompter.until(second(lambda s: pump_is_free(s) and car_is_free(s) and freezer_is_on(s)), 10.0)
        await asyncio.sleep(2.0)
        started_utc_s = log.now_utc_s()
        await prompter.stage.daemon.start()
        await prompter.until(
            second(lambda s: pump_is_held(s) and car_within(_TOTAL_W)(s) and freezer_is_off(s)), 30.0
        )
        await prompter.until(followed(order.id, *ALL), 8.0, started_utc_s)
        await asyncio.sleep(6.0)
    await prompter.cancel(order.id, 6)
