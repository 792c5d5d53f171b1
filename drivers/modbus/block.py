"""Which registers are read together: contiguous blocks within the device's size, gap and bands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from drivers.profile import Access, Point, Table


@dataclass(frozen=True, slots=True)
class Block:
    """One read request and the points it answers."""

    table: Table
    address: int
    count: int
    points: tuple[str, ...]

    def words(self, point: Point, answer: Sequence[int]) -> tuple[int, ...]:
        """The registers of one point out of the answer."""
        start = point.address - self.address
        return tuple(answer[start : start + point.count])


def blocks(points: Mapping[str, Point], names: Iterable[str], access: Access) -> list[Block]:
    """The fewest reads that cover these points; a value of two registers is never split."""
    ordered = sorted(names, key=lambda name: (points[name].table, points[name].address))
    found: list[Block] = []
    for name in ordered:
        joined = found and _join(found[-1], name, points[name], access)
        if joined:
            found[-1] = joined
        else:
            found.append(single(name, points[name]))
    return found


def single(name: str, point: Point) -> Block:
    """A block of one point."""
    return Block(point.table, point.address, point.count, (name,))


def _join(block: Block, name: str, point: Point, access: Access) -> Block | None:
    end = block.address + block.count
    count = max(end, point.address + point.count) - block.address
    if block.table != point.table or count > access.max_block or point.address - end > access.max_gap:
        return None
    if _band(block.address, access) != _band(point.address, access):
        return None
    return Block(block.table, block.address, count, (*block.points, name))


def _band(address: int, access: Access) -> tuple[int, int] | None:
    return next((band for band in access.bands if band[0] <= address <= band[1]), None)
