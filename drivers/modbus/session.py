"""One device on one connection: recognise it, read it, hold it and give it back, until something fails.

One task does all of it. A want goes out at once, between two requests of a poll at the latest; so
nothing is read before a write that was not already read when the session began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drivers.base import (
    Ability,
    Applied,
    DevicePort,
    JsonValue,
    Proof,
    Refused,
    Sample,
    Unreachable,
    Want,
    WrongDevice,
    poll,
    rest,
)
from drivers.modbus.block import Block, blocks, single
from drivers.modbus.codec import decode_words, encode_words, sample_of
from drivers.modbus.link import Connection, NotThere
from drivers.modbus.wear import Ledger, wears, worn
from drivers.profile import Hold, Lease, Profile, Release, Step

_HOLD = "hold"  # fact: what to restore while held; empty once given back; None: not known
_FREE, _RAISED = "free", "raised"


@dataclass(frozen=True, slots=True)
class _Change:
    """One register to be written."""

    point: str
    words: tuple[int, ...]
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """How this site talks to the device."""

    unit: int
    poll_s: float
    timeout_s: float


class Session:
    """The conversation after a connection was made."""

    def __init__(
        self, profile: Profile, terms: Terms, ability: Ability, connection: Connection, port: DevicePort
    ) -> None:
        self._profile = profile
        self._points = profile.points
        self._terms = terms
        self._ability = ability
        self._connection = connection
        self._port = port
        self._ledger = Ledger(profile, port)
        self._worn = worn(profile, profile.actions.leases)
        self._blocks = blocks(self._points, self._points, profile.access)
        self._registers: dict[str, tuple[int, ...]] = {}  # as last read or written
        self._serial: int | None = None  # of the last want that was answered
        self._state: int | str | None = None  # the level we hold, _RAISED or _FREE; None: not known

    async def run(self) -> None:
        """Talk until an error; see `Connection` for which.

        Raises:
            WrongDevice: what answers is not what the profile describes. Nothing was written.
        """
        if self._ability.holds:
            await self._recognise()
        await poll(self._port, self._terms.poll_s, self._poll, self._obey)

    # --- reading ------------------------------------------------------------------------------------

    async def _recognise(self) -> None:
        """Compare with `detect`, and learn what the registers we may write hold now."""
        expected = {expect.point for expect in self._profile.detect}
        ours = {step.point for action in self._profile.actions.named.values() for step in action.writes}
        try:
            await self._learn(expected | ours)
        except NotThere as error:
            raise WrongDevice(f"not a {self._profile.id}: {error}") from error
        for expect in self._profile.detect:
            value = decode_words(self._points[expect.point], self._registers[expect.point])
            if value is None:  # a device that has just started has no value yet
                raise Unreachable(f"{expect.point} has no value yet")
            if not expect.fits(value):
                raise WrongDevice(f"not a {self._profile.id}: {expect.point} is {value}")

    async def _poll(self) -> None:
        pending = list(self._blocks)
        while pending:
            block = pending.pop(0)
            pending = await self._read_or_split(block) + pending
            await rest(self._port, self._profile.access.pause_s)
            await self._obey()
        self._tell_wear()

    async def _read_or_split(self, block: Block) -> list[Block]:
        """Publish a block. One that is not there is read point by point from now on (the answer);
        an optional point that is not there is left out for the session.

        Raises:
            Refused: a point that every such device has is not there.
        """
        try:
            await self._read(block)
        except NotThere as error:
            parts = [single(name, self._points[name]) for name in block.points]
            if len(parts) == 1:
                (name,) = block.points
                if not self._points[name].optional:
                    raise Refused(f"{name}: {error}") from error
                parts = []
            at = self._blocks.index(block)
            self._blocks[at : at + 1] = parts
            return parts
        self._port.publish(
            {name: sample_of(self._points[name], self._registers[name]) for name in block.points}
        )
        return []

    async def _learn(self, names: Iterable[str]) -> None:
        for block in blocks(self._points, names, self._profile.access.model_copy(update={"max_gap": 0})):
            await self._read(block)

    async def _read(self, block: Block) -> None:
        answer = await self._connection.read(
            self._terms.unit, block.table, block.address, block.count, self._terms.timeout_s
        )
        for name in block.points:
            self._registers[name] = block.words(self._points[name], answer)

    # --- obeying ------------------------------------------------------------------------------------

    async def _obey(self) -> None:
        """Carry out the latest want, unless it was; a refusal is reported and the session goes on."""
        while (want := self._port.latest()) is not None and want.serial != self._serial:
            try:
                proof = await self._carry_out(want)
            except Refused as error:
                self._state = None
                self._port.refused(want, str(error))
            else:
                self._port.applied(Applied(want, proof))
            self._serial = want.serial

    async def _carry_out(self, want: Want) -> Proof:
        if want.raised:
            return await self._raise()
        if want.at_most_w is None:
            return await self._release()
        level_w = self._ability.at_or_below(want.at_most_w)
        hold = self._hold_for(level_w)
        if level_w is None or hold is None:
            raise Refused(f"cannot be held at {want.at_most_w} W; lowest is {self._ability.lowest_w} W")
        return await self._lease(hold, level_w, level_w)

    async def _raise(self) -> Proof:
        boost = self._profile.actions.boost
        if boost is None:
            raise Refused("this device cannot be asked to draw more")
        return await self._lease(boost, None, _RAISED)

    async def _lease(self, action: Lease, level_w: int | None, state: int | str) -> Proof:
        """Bring the device into a state that ends by itself, or renew that."""
        if self._state == state:
            return await self._apply(action, level_w, lambda change: change.keep_alive)
        changes = self._changes(action, level_w)
        if why := self._ledger.overdrawn(c.point for c in changes if not self._is_so(c)):
            raise Refused(why)
        if outlives_us := self._outlives_us(action):
            await self._remember_hold(durable=True)
        proof = await self._apply(action, level_w, self._is_due)
        self._state = state
        if not outlives_us:
            await self._remember_hold(durable=False)
        return proof

    async def _release(self) -> Proof:
        release = self._profile.actions.release
        if release is None:
            raise Refused("this device can only be watched")
        if self._state == _FREE or (self._port.facts.get(_HOLD) == {} and not self._shows_a_hold()):
            self._state = _FREE  # its owner's already; what he set since is not ours to overwrite
            return Proof.WRITTEN
        proof = await self._apply(release, None, self._is_due)
        self._state = _FREE
        await self._port.facts.put(_HOLD, {})  # not waited for: giving back needs no disk
        return proof

    async def _apply(self, action: Release, level_w: int | None, due: Callable[[_Change], bool]) -> Proof:
        """Write what is due and read back. If the device shows something else, the registers that
        were left alone are written too; after that it did not follow."""
        changes = self._changes(action, level_w)
        first = [change for change in changes if due(change)]
        await self._write(first)
        if not action.read_back or await self._follows(action, changes):
            return Proof.READ_BACK if action.read_back else Proof.WRITTEN
        left = [change for change in changes if change not in first]
        if isinstance(action, Lease) and (why := self._ledger.overdrawn(change.point for change in left)):
            raise Refused(why)
        await self._write(left)
        if not left or not await self._follows(action, changes):
            shown = {
                name: decode_words(self._points[name], self._registers[name]) for name in action.read_back
            }
            raise Refused(f"the device did not follow: it shows {shown}")
        return Proof.READ_BACK

    async def _write(self, changes: list[_Change]) -> None:
        for change in changes:
            point = self._points[change.point]
            many = self._profile.access.write == "multiple"
            await self._connection.write(
                self._terms.unit, point.table, point.address, change.words, self._terms.timeout_s, many=many
            )
            self._registers[change.point] = change.words
        await self._ledger.count(change.point for change in changes)
        self._tell_wear()

    def _tell_wear(self) -> None:
        if (left := self._ledger.left(self._worn)) is not None:
            self._port.publish({"changes_left": Sample(float(left))})

    async def _follows(self, action: Release, changes: list[_Change]) -> bool:
        await self._learn(action.read_back)
        return all(self._is_so(change) for change in changes if change.point in action.read_back)

    def _is_so(self, change: _Change) -> bool:
        return self._registers.get(change.point) == change.words

    def _is_due(self, change: _Change) -> bool:
        return not (wears(self._points[change.point]) and self._is_so(change))

    def _hold_for(self, level_w: int | None) -> Hold | None:
        actions = self._profile.actions
        if actions.block and level_w in actions.block.levels_w:
            return actions.block
        return actions.limit

    def _changes(self, action: Release, level_w: int | None) -> list[_Change]:
        values = [(step, self._value(step, level_w)) for step in action.writes]
        return [
            _Change(step.point, self._allowed(step.point, value), step.keep_alive)
            for step, value in values
            if value is not None
        ]

    def _value(self, step: Step, level_w: int | None) -> float | None:
        """What a step writes; None: there was nothing to restore."""
        if step.origin == "at_most_w":
            return level_w
        if step.origin == "snapshot":
            return _number(self._restorable().get(step.point))
        return step.value

    def _allowed(self, name: str, value: float) -> tuple[int, ...]:
        """The registers of a value that may be written there; the one door to every write."""
        rule = self._points[name].write
        if rule is None or not rule.min <= value <= rule.max:
            raise Refused(f"{name} must not be set to {value:g}")
        return encode_words(self._points[name], value)

    # --- what outlives a crash ------------------------------------------------------------------------

    def _outlives_us(self, action: Lease) -> bool:
        """Whether a crash after the write would leave something only the facts can undo."""
        return action.fallback.by == "none" or bool(self._snapshot_points())

    def _shows_a_hold(self) -> bool:
        """Whether the registers are as an action leaves them whose note a crash may have lost."""
        return any(
            all(self._is_so(change) for change in self._changes(lease, None))
            for lease in self._profile.actions.leases
            if self._state is None and not self._outlives_us(lease)
        )

    async def _remember_hold(self, *, durable: bool) -> None:
        """Note that the device is held and what was there before; a hold's first note stands."""
        if self._port.facts.get(_HOLD):
            return
        names = self._snapshot_points()
        await self._learn(names)
        values = {name: decode_words(self._points[name], self._registers[name]) for name in names}
        note: dict[str, JsonValue] = {"restore": dict(values)}
        await self._port.facts.put(_HOLD, note, durable=durable)

    def _snapshot_points(self) -> list[str]:
        release = self._profile.actions.release
        return [step.point for step in release.writes if step.origin == "snapshot"] if release else []

    def _restorable(self) -> dict[str, JsonValue]:
        fact = self._port.facts.get(_HOLD)
        found = fact.get("restore") if isinstance(fact, dict) else None
        return found if isinstance(found, dict) else {}


def _number(value: JsonValue) -> float | None:
    return float(value) if isinstance(value, int | float) else None
