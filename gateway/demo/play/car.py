"""What is played with the car: scene 1, a cap; scene 4, the household's hour against a cap."""

from __future__ import annotations

import asyncio

from gateway.demo.judge.posture import car_is_free, car_within
from gateway.demo.play.prompter import Prompter, followed, minute, second, told
from gateway.demo.setting import EV

CAP_W = 1400.0
_MINUTE_S = 4.0  # after its end it has come
_FOLLOWED_S = 18.0  # after it was sent: long enough to be seen


async def cap(prompter: Prompter, edge_utc_s: float) -> None:
    """Scene 1: until the car's minute that names the cap has come and it was followed for a while, and no
    longer: scene 4 has its hour."""
    log, over_utc_s = prompter.log, edge_utc_s + _MINUTE_S
    async with prompter.scene(1):
        await prompter.until(second(car_is_free), 20.0)
        await asyncio.sleep(2.5)
        order = await prompter.cap(1, "class:ev", cap_w=CAP_W, service="bm")
        await prompter.until(followed(order.id, EV), over_utc_s - log.now_utc_s(), order.at_utc_s)
        await prompter.until(minute(edge_utc_s), over_utc_s - log.now_utc_s(), order.at_utc_s)
        await prompter.sleep_until(order.at_utc_s + _FOLLOWED_S)
        await prompter.cancel(order.id, 1)


async def ready_by(prompter: Prompter, ready_utc_s: float) -> None:
    """Scene 4: the household types its state of charge; the cap holds until the latest start."""
    async with prompter.scene(4):
        await prompter.stage.household(prompter.stage.home.soc_command(), 4)
        order = await prompter.cap(4, f"asset:{EV}", cap_w=CAP_W, service="bm")
        await prompter.until(second(car_within(CAP_W)), 20.0)
        left_s = ready_utc_s - prompter.log.now_utc_s()
        await prompter.until(told(order.id, EV, "chargeLimit"), left_s, order.at_utc_s)
        await prompter.sleep_until(ready_utc_s + 2.0)
        await prompter.cancel(order.id, 4)
    if prompter.sabotage == 4:  # a car that has missed its hour would be charged first in scene 6 too
        await prompter.stage.household(prompter.stage.home.soc_command(1.0), 6)
