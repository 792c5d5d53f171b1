"""The rules' memory on the disk: packed, of a steady size, and read as an earlier version wrote it too."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.model import AssetMemory, Memory
from gateway.daemon import codec
from gateway.daemon.recollection import QUANTUM, Recollection
from gateway.daemon.store import PutMeta, Store
from tests.faults.virtual_clock import virtual, virtual_clock

KNOWN = Memory(at_s=0.0, assets={"heat": AssetMemory(running_since_s=-600.0)})


@virtual
async def test_a_memory_is_there_again(tmp_path: Path) -> None:
    clock = virtual_clock()
    async with Store.open(tmp_path / "homeflex.db") as store:
        Recollection(store).save(KNOWN, clock, now=True)
    async with Store.open(tmp_path / "homeflex.db") as store:
        assert len(store.saved.meta["memory"]) % QUANTUM == 0
        assert Recollection(store).memory(clock).assets.keys() == {"heat"}


@virtual
@pytest.mark.parametrize("blob", [codec.encode("memory", KNOWN), codec.pack([codec.encode("memory", KNOWN)])])
async def test_it_is_read_as_it_was_written_before_it_was_packed(tmp_path: Path, blob: bytes) -> None:
    async with Store.open(tmp_path / "homeflex.db") as store:
        await store.submit(PutMeta("memory", blob))
    async with Store.open(tmp_path / "homeflex.db") as store:
        assert Recollection(store).memory(virtual_clock()).assets.keys() == {"heat"}


@virtual
@pytest.mark.parametrize("blob", [b"", b"[99,{}]", b"broken", codec.pack([b"[99,{}]"]), codec.pack([])])
async def test_what_cannot_be_read_is_begun_anew(tmp_path: Path, blob: bytes) -> None:
    async with Store.open(tmp_path / "homeflex.db") as store:
        await store.submit(PutMeta("memory", blob))
    async with Store.open(tmp_path / "homeflex.db") as store:
        assert Recollection(store).memory(virtual_clock()).assets == {}
