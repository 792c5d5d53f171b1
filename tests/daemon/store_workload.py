"""What the power-cut test runs under the recording: submissions to a real store, each marked when it is safe.

python -m tests.daemon.store_workload FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.daemon.change import AppendRow, PutEntry, PutMeta, PutPack
from gateway.daemon.store import Store
from tests.faults.forgetful_disk import mark

SUBMISSIONS = 600  # in groups of five: a checkpoint falls in after 100 commits
AT_ONCE = 5


async def _submit(store: Store, number: int) -> None:
    """One instruction with its status, as the daemon journals it."""
    blob = str(number).encode()
    size = 40 if number % 10 else 1200  # now and then more than a page
    await store.submit(
        PutEntry(str(number), blob * size),
        AppendRow("status", float(number), blob),
        PutPack("telemetry:hp", 1 + number // 10 * 10, number + 1, float(number), blob * size),
        PutMeta("memory", blob),
    )
    mark(str(number))


async def main(path: Path) -> None:
    """Two lives of one store, the second after a clean stop."""
    for numbers in (range(SUBMISSIONS), range(SUBMISSIONS, SUBMISSIONS + AT_ONCE)):
        async with Store.open(path) as store:
            mark("open")
            for first in range(numbers.start, numbers.stop, AT_ONCE):
                await asyncio.gather(*(_submit(store, first + n) for n in range(AT_ONCE)))
                await asyncio.sleep(0.05 if first % 100 == 0 else 0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) / "store.db"))
