"""The vocabulary of the core: what the home is, what is seen, what is asked, what is decided.

Signs: power into the home or into a device is positive; export and generation are negative.
Units live in names: watts and watt-seconds (joules) are integers, temperatures are degrees Celsius.
Two clocks: `*_s` without more is the hub's monotonic clock; `*_utc_s` is seconds since 1970 in UTC.
Intervals are half-open: the start belongs to it, the end does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple


class AssetClass(StrEnum):
    """What kind of load an asset is to the household and the grid; configuration, not a driver."""

    EV = "ev"
    HEAT = "heat"
    PLUG = "plug"


class Quality(StrEnum):
    """How far a value may be believed."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Reason(StrEnum):
    """Why an asset is not where an instruction wants it; the contract's words."""

    NONE = "none"
    USER_OVERRIDE = "userOverride"
    COMFORT_LIMIT = "comfortLimit"
    CHARGE_LIMIT = "chargeLimit"
    SUPPLY_LIMIT = "supplyLimit"
    APPLIANCE_LIMIT = "applianceLimit"
    MINIMUM_RUN = "minimumRun"
    SUPERSEDED = "superseded"
    NOT_ELIGIBLE = "notEligible"
    EXCLUDED = "excluded"
    OUTSIDE_CAPABILITY = "outsideCapability"
    UNKNOWN_TARGET = "unknownTarget"
    NOT_CONNECTED = "notConnected"
    NO_DEMAND = "noDemand"
    NOT_FOLLOWING = "notFollowing"
    DEVICE_OFFLINE = "deviceOffline"
    DEVICE_REFUSED = "deviceRefused"
    METER_STALE = "meterStale"
    CLOCK_UNTRUSTED = "clockUntrusted"
    GATEWAY_RESTART = "gatewayRestart"
    STORAGE = "storage"
    MANUAL = "manual"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Rank(IntEnum):
    """Which bound wins where two leave no room: the higher."""

    PACE = 0  # how often a charger is told: no limit waits for it
    PAUSE = 1  # the household asks for less: below every minimum, also its own
    COMFORT = 2  # and charge
    OVERRIDE = 3
    CARE = 4
    SUPPLY = 5


class Governor(StrEnum):
    """Who decides an asset's power at a moment; the contract's `governedBy`."""

    HOUSEHOLD = "household"
    DISPATCH = "dispatch"
    DELAY = "delay"
    LIMIT = "limit"
    OVERRIDE = "override"
    PREHEAT = "preheat"
    FAILSAFE = "failsafe"
    NONE = "none"


# --- what is seen -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Point:
    """One value a device gave, with the moment it arrived here.

    `value` is None where the device answered that it has none. A point with a source time that
    stands still while `at_s` moves is frozen; the driver says so in `quality` and `reasons`.
    """

    value: float | None
    at_s: float
    quality: Quality = Quality.GOOD
    reasons: tuple[str, ...] = ()
    source_utc_s: float | None = None


Points = Mapping[str, Point]
"""Latest points by `device.name`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One field of an asset, bound to the source that gave it."""

    value: float
    age_s: float
    source: str
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class AssetState:
    """What is known of an asset now; None is a value the rules must handle."""

    power_w: Reading | None = None
    room_c: Reading | None = None
    running: Reading | None = None  # 1.0 while the compressor (or element) runs
    online: bool = False  # its control device answers
    soc: Reading | None = None  # measured, 0..1; what was typed in is in the memory
    connected: Reading | None = None  # 1.0 while a car is plugged in
    import_ws: Reading | None = None  # energy register
    air_c: Reading | None = None  # of the cold appliance itself
    water_c: Reading | None = None  # of the hot-water tank
    outdoor_c: Reading | None = None
    defrost: Reading | None = None  # above 0 while it melts its ice
    legionella: Reading | None = None  # above 0 in a cycle against legionella
    backup: Reading | None = None  # above 0 while its backup heater runs
    changes_left: Reading | None = None  # that its device's memory bears today


# --- what the home is (configuration) ---------------------------------------------------------------


class FallbackBy(StrEnum):
    """How a device returns to its owner's normal behaviour when the gateway is gone."""

    DEVICE = "device"  # its own timer
    KEEP_ALIVE = "keep-alive"  # it misses our renewals
    NONE = "none"  # it does not: only for states that are harmless for ever


@dataclass(frozen=True, slots=True)
class Ability:
    """The powers an asset can be held at or below. All in watts, import positive.

    `levels_w` are single levels (0 is "held off"); `range_w` is (lowest, highest) in steps of
    `step_w`. Neither: it can only be watched. `raises` says whether it can be asked to draw more
    than it would by itself. `lease_s` is how long the device keeps our last setting without us.
    `changes_per_day`: what its memory bears; None: as many as one likes.
    """

    levels_w: tuple[int, ...] = ()
    range_w: tuple[int, int] | None = None
    step_w: int = 1
    raises: bool = False
    fallback: FallbackBy = FallbackBy.NONE
    lease_s: float = math.inf
    changes_per_day: int | None = None

    @property
    def holds(self) -> bool:
        """Whether the asset can be held at all."""
        return bool(self.levels_w) or self.range_w is not None

    @property
    def lowest_w(self) -> int | None:
        """The lowest power it can be held at; None if it can only be watched."""
        candidates = (*self.levels_w, *((self.range_w[0],) if self.range_w else ()))
        return min(candidates, default=None)

    def at_or_below(self, power_w: int) -> int | None:
        """The highest level not above `power_w`; None if it cannot be held so low."""
        found = None
        if self.range_w and power_w >= self.range_w[0]:
            low, high = self.range_w
            found = low + (min(power_w, high) - low) // self.step_w * self.step_w
        for level in self.levels_w:
            if level <= power_w and (found is None or level > found):
                found = level
        return found

    def at_or_above(self, power_w: int) -> int | None:
        """The lowest level not below `power_w`; None if only "free" is as high."""
        fits = [level for level in self.levels_w if level >= power_w]
        if self.range_w and power_w <= self.range_w[1]:
            low, high = self.range_w
            steps = -(-max(0, power_w - low) // self.step_w)
            if low + steps * self.step_w <= high:
                fits.append(low + steps * self.step_w)
        return min(fits, default=None)


@dataclass(frozen=True, slots=True)
class Asset:
    """One controllable load as rules see it; which devices feed it is configuration.

    `sources` maps a field of `AssetState` (`power_w`, `import_ws`, `room_c`) to the points that may
    feed it, best first. `nominal_w` is the most it draws.
    """

    id: str
    asset_class: AssetClass
    nominal_w: int
    ability: Ability = Ability()
    control: str | None = None
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    storage: bool = False
    phases: tuple[int, ...] = ()  # it draws evenly from; empty: from one, nobody knows which
    circuit: str | None = None  # None: nothing is between it and the main fuse

    @property
    def device_step_w(self) -> int:
        """One step of the device, for the tolerance of "followed"."""
        return self.ability.step_w if self.ability.range_w else 0


# --- limits in force ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A value in force over [start_utc_s, end_utc_s)."""

    start_utc_s: float
    end_utc_s: float
    value: float


@dataclass(frozen=True, slots=True)
class Timetable:
    """Spans in order, without overlap, and the value outside them (None: no limit then)."""

    spans: tuple[Span, ...] = ()
    otherwise: float | None = None

    def at(self, utc_s: float) -> float | None:
        """The value in force at `utc_s`."""
        for span in self.spans:
            if span.start_utc_s <= utc_s < span.end_utc_s:
                return span.value
        return self.otherwise

    def next_edge(self, utc_s: float) -> float:
        """The next moment after `utc_s` at which the value may change; inf if none is known."""
        for span in self.spans:
            if span.start_utc_s > utc_s:
                return span.start_utc_s
            if span.end_utc_s > utc_s:
                return span.end_utc_s
        return math.inf

    def values(self) -> tuple[float, ...]:
        """Every value it can take, for a clock that cannot be trusted."""
        found = {span.value for span in self.spans}
        return tuple(sorted(found if self.otherwise is None else found | {self.otherwise}))


@dataclass(frozen=True, slots=True)
class EdgeDelay:
    """The random delay of an edge upwards of a schedule: `before_w` is the most for `delay_s` more."""

    at_utc_s: float
    delay_s: int
    before_w: int

    @property
    def end_utc_s(self) -> float:
        """From when on the schedule lets the asset draw what it says."""
        return self.at_utc_s + self.delay_s


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which a car or store is ready, and how the household calls it, as in "07:00 local"."""

    utc_s: float
    words: str


@dataclass(frozen=True, slots=True)
class Charge:
    """What the household wants of a car's charge, or of a store's that heats. SoC is 0..1; None: not said.

    Below `min_soc` nothing holds it, at `max_soc` it is held off, `target_soc` is reached by each of
    `deadlines`. `need_ws` is what it needs (metered) from plug-in on while its SoC is unknown;
    `efficiency` is what of the metered energy reaches the battery. From `taper_from_soc` on a car takes ever
    less (None: it takes the same up to full). A store's SoC is its level, its battery what it holds; its
    energy is counted from the last of `begins` (UTC) on, and it needs none while the schedule has it off.
    """

    battery_ws: int | None = None
    min_soc: float | None = None
    target_soc: float | None = None
    max_soc: float | None = None
    need_ws: int | None = None
    efficiency: float = 0.9
    deadlines: tuple[Deadline, ...] = ()  # in order
    taper_from_soc: float | None = None
    begins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Care:
    """What spares an appliance; None: no such limit.

    Each end of an off that we made is a start we caused: `starts_per_hour` and `starts_per_day` are the most
    in any 3600 s and 86,400 s, at least 1. `air_max_c`: from here on what cools food runs, whatever is asked.
    Colder outside than `frost_c` a hold is `frost_hold_s` at most, colder than `outdoor_min_c` there is none;
    below 0 °C the rest after a hold is `frost_rest_s` at least, and what `off_may_freeze` is not off.
    Hot water is heated against legionella at least every `legionella_every_days`.
    What has steps is told another power at most `change_every_s`, more of it only from `min_change_w` on;
    and `pause_s` lie between a pause and the next run, and the other way.
    """

    starts_per_hour: int | None = None
    starts_per_day: int | None = None
    air_max_c: float | None = None
    frost_c: float | None = None
    frost_hold_s: float = math.inf
    frost_rest_s: float = 0.0
    outdoor_min_c: float | None = None
    off_may_freeze: bool = False
    legionella_every_days: float | None = None
    change_every_s: float = 0.0
    min_change_w: int = 0
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Preheat:
    """How far the household lets what heats be raised: by so many kelvin of its room, and for so long."""

    kelvin: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """The household's and the installer's limits on one asset.

    Comfort: `room_min_c` below which it may not be held, `room_max_c` above which it is held off,
    `hysteresis_c` between, `room_max_age_s` after which the room counts as unknown (and an asset with
    a room minimum may not be held), `longest_hold_s` of one hold and `rest_s` after it,
    `most_fall_k` the most the room falls in one. `water_min_c`: the
    same for the hot water, and `water_hysteresis_c` for its way back. Within any 86,400 s instructions hold
    it in `blocks_per_day` blocks at most (None: as many as they like) and for `held_per_day_s` in all.
    `preheat`: how far it may be raised; None: never.
    Care: `min_run_s` a started compressor runs, `min_rest_s` what was held off stays so; `longest_off_s` of
    one switching-off, `shortest_on_s` between two of them; `care` for the rest.
    `schedule` is the household's own wish: the most it wants the asset to draw (W); `default_hours` says that
    nobody has said it and a car keeps off the peak. `delays` are those of its edges upwards, in order.
    """

    room_min_c: Timetable = Timetable()
    room_max_c: Timetable = Timetable()
    hysteresis_c: float = 0.3
    room_max_age_s: float = 900.0
    water_min_c: float | None = None
    water_hysteresis_c: float = 3.0
    longest_hold_s: float = math.inf
    rest_s: float = 0.0
    most_fall_k: float = math.inf
    blocks_per_day: int | None = None
    held_per_day_s: float = math.inf
    preheat: Preheat | None = None
    min_run_s: float = 0.0
    min_rest_s: float = 0.0
    longest_off_s: float = math.inf
    shortest_on_s: float = 0.0
    care: Care = Care()
    charge: Charge | None = None
    schedule: Timetable = Timetable()
    default_hours: bool = False
    delays: tuple[EdgeDelay, ...] = ()


@dataclass(frozen=True, slots=True)
class Circuit:
    """A fuse behind the main one, or behind `parent`: `fuse_w` on all its `phases` together.

    `unmetered_w` is the most its assets together may draw while its own meter is silent; None: it has no
    meter, and nothing but its assets is reckoned with.
    """

    id: str
    fuse_w: int
    phases: int = 1
    parent: str | None = None
    unmetered_w: int | None = None


@dataclass(frozen=True, slots=True)
class Supply:
    """The main fuse of the home, `fuse_w` on all its `phases` together, and the circuits behind it.

    `restore_s` is how long there must be room before more is allowed; `unmetered_w` is the most all assets
    together may draw, evenly on all phases, while the boundary meter is silent for longer than `max_age_s`.
    What was switched off for a fuse is switched on again when there was room for `restart_s` without a
    break, and not within `starts_apart_s` of the last time.
    """

    fuse_w: int
    restore_s: float = 60.0
    max_age_s: float = 30.0
    unmetered_w: int = 0
    restart_s: float = 900.0
    starts_apart_s: float = 1800.0
    phases: int = 1
    circuits: tuple[Circuit, ...] = ()


# --- what is asked -------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a value of an instruction means. A level of `SIMPLE` becomes a cap at acceptance."""

    CAP = "IMPORT_CAPACITY_LIMIT"  # draw at most
    SETPOINT = "DISPATCH_SETPOINT"  # draw this
    FLOOR = "X_IMPORT_FLOOR"  # draw at least
    EXPORT_CAP = "EXPORT_CAPACITY_LIMIT"
    SOC = "CHARGE_STATE_SETPOINT"  # be charged so far by the interval's end
    SIMPLE = "SIMPLE"

    @property
    def only_raises(self) -> bool:
        """Whether an asset is never held for it."""
        return self in {Kind.FLOOR, Kind.SOC}


class Vector(StrEnum):
    """Who carries an instruction out: the gateway, or the household by hand; then nothing is moved."""

    AUTOMATED = "automated"
    MANUAL = "manual"


class Op(StrEnum):
    """What a dispatch message does."""

    SET = "set"
    CANCEL = "cancel"
    STOP_ALL = "stopAll"


@dataclass(frozen=True, slots=True)
class Ask:
    """One interval of an order: `value` in watts for powers, 0..1 for SoC, the level for SIMPLE."""

    start_utc_s: float
    end_utc_s: float
    kind: Kind
    value: float


@dataclass(frozen=True, slots=True)
class Order:
    """A dispatch message, verified and well-formed, before anything is known of this home's assets.

    `digest` is the SHA-256 of its exact bytes (hex). Delays are the bounds of a draw in seconds; None
    asks for the site's default. `cancel` and `stopAll` have neither targets nor asks.
    """

    op: Op
    id: str
    revision: int
    digest: str
    issued_utc_s: float
    expires_utc_s: float
    service: str = ""
    service_class: str = ""
    service_ref: str | None = None
    vector: Vector = Vector.AUTOMATED
    priority: int = 0
    targets: tuple[str, ...] = ()
    start_delay_max_s: int | None = None
    end_delay_max_s: int | None = None
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One interval of an instruction: over [start_utc_s, end_utc_s) the union draws `power_w`; or, of kind
    `SOC`, each of its cars has at least `soc` (0..1) by the end. `level`: of SIMPLE, as it was asked."""

    start_utc_s: float
    end_utc_s: float
    kind: Kind
    power_w: int
    soc: float | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The union an instruction's values are the total of, resolved to assets at acceptance.

    `site` includes the base load: the value is the net power at the boundary.
    """

    targets: tuple[str, ...]  # as asked: "site", "class:heat", "asset:hp"
    assets: tuple[str, ...]
    site: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """One accepted instruction, as the core obeys it.

    `start_delay_s` shifts the start and every step inside; `end_delay_s` holds a return upwards back
    at the end. Both are drawn once by the shell and journalled. `ended` names assets whose life ended
    early (revoked or opted out). `undelayed` names those that return at once: their chargers wait at random
    themselves. A manual one moves nothing: it is never in force.
    """

    id: str
    revision: int
    service: str
    service_class: str
    priority: int
    issued_utc_s: float
    scope: Scope
    steps: tuple[Step, ...]
    start_delay_s: int = 0
    end_delay_s: int = 0
    ended: frozenset[str] = frozenset()
    vector: Vector = Vector.AUTOMATED
    undelayed: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Names this revision of it: a revision may move the end, a clock may not."""
        return f"{self.id}/{self.revision}"

    def is_of(self, asset: str) -> bool:
        """Whether it is about the asset, and not only was."""
        return asset in self.scope.assets and asset not in self.ended

    @property
    def start_utc_s(self) -> float:
        """Start of the window as asked, before any delay."""
        return self.steps[0].start_utc_s

    @property
    def end_utc_s(self) -> float:
        """End of the window as asked, before any delay."""
        return self.steps[-1].end_utc_s


@dataclass(frozen=True, slots=True)
class Override:
    """The household takes an asset back: no instruction and no schedule holds it until then.

    `charging`: to charge a car now; it ends by itself when the car is unplugged or charged.
    `paused`: the other way, to draw as little as local limits let it.
    """

    asset: str
    until_s: float
    charging: bool = False
    paused: bool = False


# --- what is remembered ----------------------------------------------------------------------------------


UNKNOWN_LONG_S = 1e9  # an elapsed time nobody can tell, on the long side
TYPED = "typed"  # the source of a SoC that a person typed in


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, and what the energy register said then (None: nothing yet) and which one it was."""

    at_s: float
    register_ws: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    """A SoC that a person typed in, and when."""

    soc: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Measured:
    """The last SoC that `source` measured, and when."""

    soc: float
    mark: Mark
    source: str


@dataclass(frozen=True, slots=True)
class Turn:
    """When an asset was last told another power, and what it drew until then: at the least, at the most."""

    at_s: float
    least_w: float
    most_w: float


@dataclass(frozen=True, slots=True)
class Block:
    """Holds by instructions with less than a full rest between them: from when to when, and their length."""

    start_s: float
    end_s: float
    held_s: float


@dataclass(frozen=True, slots=True)
class Fall:
    """The room and its walls when its heating was switched off, and how many marks of the time since have
    passed."""

    at_s: float
    room_c: float
    walls_c: float
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Walls:
    """How warm a room's walls are: as it was on average lately. `at_s`: when that was last looked at."""

    at_s: float
    temp_c: float


@dataclass(frozen=True, slots=True)
class Raise:
    """When it was first asked to draw more, and the room then; when it last stopped (None: it goes on), and
    whether its room was warm enough by then."""

    began_s: float
    room_c: float
    paused_s: float | None = None
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class AssetMemory:
    """What must be known of an asset's past. Monotonic seconds; None: has not happened."""

    running: bool = False
    running_since_s: float | None = None
    held_w: int | None = None  # the level it is held at; None: it is its owner's
    held_since_s: float | None = None  # start of the present hold
    let_go_s: float | None = None  # end of the last hold
    held_s: float = 0.0  # held since the last full rest, up to the present hold, less what was the schedule's
    too_cold: bool = False  # inside the hysteresis after the room minimum was reached
    too_warm: bool = False
    plugged: Mark | None = None  # since when a car is plugged in, or a store's energy is counted
    typed: Typed | None = None
    measured: Measured | None = None  # of this car
    told_s: float | None = None  # when it was last known whether a car is there
    takes_w: int | None = None  # the most this car was seen to draw while it was free to
    took_w: int | None = None  # the same of the car before it: a guess
    too_empty: bool = False  # inside the hysteresis after the SoC was below its minimum
    too_full: bool = False
    late_for_utc_s: float | None = None  # the deadline whose latest start has passed
    quiet_since_s: float | None = None  # since when it draws nothing though it may
    tight_s: float | None = None  # while held: when a site's value or the fuse last left it no more
    free_since_s: float | None = None  # since when it runs and is not held
    scheduled_since_s: float | None = None  # since when only the household's own schedule holds it
    moved_s: float | None = None  # when the level of this hold last changed; None: it is the first
    starts_s: tuple[float, ...] = ()  # the latest ends of an off that we made, in order
    water_cold: bool = False  # inside the hysteresis after the hot water's minimum was reached
    turn: Turn | None = None
    short_s: float | None = None  # when a fuse last left it less than it draws or, once let go, could draw
    starved_s: float | None = None  # while off for the fuse: when that last left it too little to run
    fed_s: float | None = None  # when it was last switched on again after that
    defrosted_s: float | None = None  # when it was last seen to melt its ice, if that was a while ago
    outdoor_c: float | None = None  # what outdoor limits reckon with
    cycle_since_s: float | None = None  # since when a cycle against legionella runs
    hot_since_s: float | None = None  # since when its water is hot enough to kill them
    clean_utc_s: float | None = None  # UTC: when that was last done, or first looked at
    blocks: tuple[Block, ...] = ()  # of the last day, in order; the last one may go on
    dispatched_since_s: float | None = None  # since when the last one goes on; None: it does not
    aims: bool = False  # the latest start for the SoC that an instruction asks for has passed
    fall: Fall | None = None  # of its room, while it is off
    falls: tuple[float, ...] = ()  # how far below its walls at each mark, for each kelvin that drives it
    walls: Walls | None = None
    backup_s: float | None = None  # when the backup heater last ran that a hold had called
    began_c: float | None = None  # the room when its hold began
    chilled: bool = False  # it has fallen too far since, and has not rested from that
    resumed_s: float | None = None  # when it was last let run after a pause, if that was just now
    waited_utc_s: float | None = None  # UTC: the last edge of its schedule whose random delay is over
    raised: Raise | None = None  # the last time, until it may be raised anew


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """What the home drew besides its assets, when that was last seen, and when an asset was last moved."""

    power_w: float
    at_s: float
    moved_s: float


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The base load a site's value reckons with (W); while what is seen is well below it, since when and
    the most that was seen since."""

    power_w: float
    peak_w: float = 0.0
    lower_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything `decide` may know of the past. `at_s` is the moment it was true."""

    at_s: float = 0.0
    assets: Mapping[str, AssetMemory] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    latest_end_s: Mapping[str, float] = field(default_factory=dict)  # by Instruction.key
    base_load: BaseLoad | None = None
    reckoned: Reckoned | None = None
    order: tuple[str, ...] = ()  # assets, who gets power first before; while a value is shared among several
    ordered_s: float | None = None  # when it was last looked at

    def of(self, asset: str) -> AssetMemory:
        """What is remembered of an asset; nothing, if it is new."""
        return self.assets.get(asset, _NOTHING)


_NOTHING = AssetMemory()


# --- the moment and the decision ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything `decide` may know, at one moment.

    `utc_s` means nothing to a rule while `clock_trusted` is false: then every limit takes its
    strictest value and no instruction that has not begun is begun.
    """

    now_s: float
    utc_s: float
    clock_trusted: bool
    assets: tuple[Asset, ...] = ()
    states: Mapping[str, AssetState] = field(default_factory=dict)
    limits: Mapping[str, Limits] = field(default_factory=dict)
    supply: Supply | None = None
    boundary_w: Reading | None = None
    instructions: tuple[Instruction, ...] = ()
    memory: Memory = Memory()
    boundary_phases_w: tuple[
        Reading | None, ...
    ] = ()  # of each phase; empty: its meter tells the total alone
    circuits_w: Mapping[str, Reading] = field(default_factory=dict)  # of their own meters

    @property
    def meters(self) -> tuple[Reading, ...]:
        """The readings of all meters at a fuse."""
        found = (self.boundary_w, *self.boundary_phases_w, *self.circuits_w.values())
        return tuple(reading for reading in found if reading)

    def state(self, asset: str) -> AssetState:
        """What is known of an asset now."""
        return self.states.get(asset, _UNKNOWN)

    def limit(self, asset: str) -> Limits:
        """The limits in force on an asset."""
        return self.limits.get(asset, _UNLIMITED)


_UNKNOWN = AssetState()
_UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Bound:
    """What one local rule says of one asset now.

    `at_least_w`: the gateway may not hold it lower. `at_most_w`: it may not draw more.
    `until_s` is when the bound may lift by time alone (inf: only by a new input). `leaves_schedule`: no more
    instructions may hold it, and `at_least_w` is what the household's own schedule lets it draw.
    """

    asset: str
    reason: Reason
    text: str
    rank: Rank
    at_least_w: int | None = None
    at_most_w: int | None = None
    until_s: float = math.inf
    leaves_schedule: bool = False


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What one asset is to do. `at_most_w` None: it is its owner's, nothing is held. `waits`: the fuse
    leaves it more, or enough to run at all, but not for long enough yet. `of_schedule`: it is the household's
    own schedule that holds it, or a random delay of that. `raised`: nothing holds it, and it is to draw more
    than it would by itself."""

    asset: str
    at_most_w: int | None
    governor: Governor
    reason: Reason
    text: str
    waits: bool = False
    of_schedule: bool = False
    raised: bool = False


class Extent(StrEnum):
    """How far an instruction gets what it asked for."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class Given(NamedTuple):
    """What one instruction gets from one asset at this moment.

    `asked_w` is this asset's share of the value as asked; `granted_w` is what it is held to (None:
    it is not held). `governs` says whether this instruction's wish is the one obeyed. `short_w`: by how much
    it misses its share, drawing more than a cap or less than what else is asked; where nobody sees what it
    draws, by what it is allowed.
    """

    instruction: str
    asset: str
    kind: Kind
    asked_w: int
    granted_w: int | None
    extent: Extent
    reason: Reason
    text: str
    governs: bool = True
    short_w: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision: what each asset does, what each instruction in force gets, and when this may
    change with no new input (seconds from now)."""

    setpoints: tuple[Setpoint, ...] = ()
    given: tuple[Given, ...] = ()
    next_change_s: float = math.inf

    def setpoint(self, asset: str) -> Setpoint | None:
        """The setpoint of an asset; None if the plan does not know it."""
        return next((s for s in self.setpoints if s.asset == asset), None)
