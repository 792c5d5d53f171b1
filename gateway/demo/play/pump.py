"""What is played with the heat pump: scene 2, a block the room ends; scene 5, the household overrides one."""

from __future__ import annotations

import asyncio

from gateway.demo.evidence import Second
from gateway.demo.judge.posture import pump_is_free, pump_is_held
from gateway.demo.play.prompter import Cue, Prompter, followed, second, told
from gateway.demo.setting import HEAT

TARGET = f"asset:{HEAT}"
_OVERRIDE_S = 12


async def block_ends_early(prompter: Prompter) -> None:
    """Scene 2."""
    async with prompter.scene(2):
        order = await prompter.cap(2, TARGET, service="demo")
        if await prompter.until(second(pump_is_held), 35.0):
            await prompter.until(second(pump_is_free), 60.0)
        await prompter.until(told(order.id, HEAT, "comfortLimit"), 8.0, order.at_utc_s)
        await asyncio.sleep(4.0)
        await prompter.cancel(order.id, 2)


async def override(prompter: Prompter) -> None:
    """Scene 5: an override, while an instruction goes on."""
    log = prompter.log
    async with prompter.scene(5):
        order = await prompter.cap(5, TARGET, service="demo")
        await prompter.until(second(pump_is_held), 15.0)
        await asyncio.sleep(3.0)
        given_utc_s = log.now_utc_s()
        await prompter.stage.household(prompter.stage.home.override_command(_OVERRIDE_S), 5)
        await prompter.until(told(order.id, HEAT, "userOverride"), 8.0, given_utc_s)
        await prompter.sleep_until(given_utc_s + _OVERRIDE_S)
        over_utc_s = log.now_utc_s()
        await prompter.until(second(pump_is_held), 10.0)
        await prompter.until(followed(order.id, HEAT), 8.0, over_utc_s)
        await asyncio.sleep(3.5)
        await prompter.cancel(order.id, 5)


def warm(room_c: float) -> Cue:
    """The room is at least so warm: comfort does not end the next block at once."""

    def is_so(second: Second) -> bool:
        return second.room_c >= room_c

    return second(is_so)
