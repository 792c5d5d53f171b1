"""What is played with the freezer: scene 3, its longest off, and a service it does not serve."""

from __future__ import annotations

import asyncio

from gateway.demo.judge.posture import freezer_is_off, freezer_is_on
from gateway.demo.play.prompter import Prompter, answered, second, told
from gateway.demo.setting import FREEZER, LONGEST_OFF_S

TARGET = f"asset:{FREEZER}"


async def longest_off(prompter: Prompter) -> None:
    """Scene 3: everything before its shortest on is over, for then it would be switched off again."""
    async with prompter.scene(3):
        order = await prompter.cap(3, TARGET, service="tcm")
        if await prompter.until(second(freezer_is_off), 15.0):
            await prompter.until(second(freezer_is_on), LONGEST_OFF_S + 10.0)
        await prompter.until(told(order.id, FREEZER, "applianceLimit"), 6.0, order.at_utc_s)
        other = await prompter.cap(3, TARGET, service="bm", what="bm")
        await prompter.until(answered("OK"), 4.0, other.at_utc_s)
        await asyncio.sleep(5.0)
        await prompter.cancel(order.id, 3)
        await asyncio.sleep(1.0)
