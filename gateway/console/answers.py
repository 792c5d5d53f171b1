"""What a person on site can ask the daemon, and the shape of each answer.

One JSON object a line each way: `{"ask": "status"}` and the answer, or `{"error": "..."}`. Powers in
watts (import positive), temperatures in °C, times as seconds or RFC 3339 text. `--json` prints these.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, get_args

Verb = Literal[
    "status", "why", "override", "pause", "release", "dispatch", "opt-out", "skip-delay", "accept", "decline",
    "keys", "soc", "sessions", "meter", "half-hours", "report", "charge-now",
]  # fmt: skip
VERBS: tuple[str, ...] = get_args(Verb)


class Question(TypedDict):
    """`asset` for all but status and keys, or `home`: all of them; `for_s`: how long override, pause and
    release hold, 0 ends them, or `until`: a moment of the home's own time; `soc`: how full a person says the
    car is (0..1); `id`: which instruction; of skip-delay also which asset; `since` and `until`: of sessions,
    local dates or moments between which they were, `after`: the number of the last one that is known already.
    The same of meter and half-hours, where they may also be so long ago (`24h`), and `point` is whose.
    """

    ask: Verb
    asset: NotRequired[str | None]
    home: NotRequired[bool]
    for_s: NotRequired[float]
    until: NotRequired[str | None]
    soc: NotRequired[float]
    id: NotRequired[str | None]
    since: NotRequired[str | None]
    after: NotRequired[int]
    point: NotRequired[str | None]


class DeviceLine(TypedDict):
    """One device: whether it answers, for how long it has (or has not), and why not."""

    name: str
    driver: str
    online: bool
    since_s: float
    why: str
    failsafe: str


class CarLine(TypedDict):
    """A car: whether it is there, its SoC (0..1) with age and source ("typed": by a person), the energy it
    still needs and by when; None is not known. `text` says it in words."""

    connected: bool | None
    soc: float | None
    soc_age_s: float | None
    soc_source: str | None
    needed_wh: float | None
    ready_by: str | None
    text: str


class AssetLine(TypedDict):
    """One asset: what it draws, what it is held to (None: its owner's, or `raised`), who says so and why;
    `delay_left_s` of the random delay of its own schedule, while that holds it."""

    id: str
    asset_class: str
    power_w: float | None
    room_c: float | None
    water_c: float | None
    at_most_w: int | None
    raised: bool
    governor: str
    reason: str
    text: str
    delay_left_s: float | None
    car: CarLine | None


class InstructionLine(TypedDict):
    """One instruction that is open, or whose return is delayed, and how each asset does on it. `vector`:
    who carries it out, the hub (automated) or hands (manual); `agreed`: the household accepted that."""

    id: str
    service: str
    service_class: str
    vector: str
    asked: str
    agreed: bool
    start: str
    end: str
    targets: list[str]
    assets: list[InstructionAsset]


class InstructionAsset(TypedDict):
    """One asset's life on an instruction, in the contract's words; `delay_left_s` of a random delay that
    runs, then `text` says so. `short_w`: by how much it misses its share now; None: it has none."""

    instruction: str
    asset: str
    status: str
    extent: str
    reason: str
    text: str
    short_w: int | None
    delay_left_s: float | None


class Clock(TypedDict):
    """The hub's clock."""

    utc: str | None
    trusted: bool


class Link(TypedDict):
    """The uplink to the aggregator's broker, and what waits to be sent."""

    configured: bool
    up: bool
    why: str
    unsent: int


class Status(TypedDict):
    """The home on one screen."""

    site: str
    version: str
    clock: Clock
    uplink: Link
    signatures_required: bool
    offset_s: int | None
    boundary_w: float | None
    devices: list[DeviceLine]
    assets: list[AssetLine]
    instructions: list[InstructionLine]


class Dispatch(TypedDict):
    """Everything that is asked of the home."""

    instructions: list[InstructionLine]


class LimitLine(TypedDict):
    """One local limit that bears on an asset now."""

    rank: str
    reason: str
    at_least_w: int | None
    at_most_w: int | None
    text: str


class Why(TypedDict):
    """Why one asset does what it does."""

    asset: str
    at_most_w: int | None
    raised: bool
    governor: str
    reason: str
    text: str
    delay_left_s: float | None
    car: str
    slack: str
    preheat: str
    limits: list[LimitLine]
    instructions: list[InstructionAsset]
    sources: dict[str, str]
    failsafe: str
    next_change_s: float | None


class WhyAll(TypedDict):
    """Every asset's reasons."""

    assets: list[Why]


class KeyLine(TypedDict):
    """One key of the trust store: what it signs, from when to when (RFC 3339 in the home's own time), and
    whether it counts now, in words."""

    kid: str
    role: str
    not_before: str
    not_after: str
    counts: bool
    text: str


class TrustedKeys(TypedDict):
    """Whose signatures count: the pinned root's fingerprint, and the trust store in force, from the file of
    commissioning (`local`) or from afar (`remote`); None: there is none."""

    root: str | None
    version: int | None
    source: str | None
    keys: list[KeyLine]


class ChargeSpan(TypedDict):
    """From when to when; None: it goes on, or nobody knows the time."""

    start: str | None
    stop: str | None


class RateLine(TypedDict):
    """What a car was let draw from then on (W; None: its own, or `raised`), who governed that, and why."""

    at: str | None
    at_most_w: int | None
    raised: bool
    governed_by: str
    reason: str
    text: str
    instructions: list[str]


class SessionLine(TypedDict):
    """One car at one charger, with times as RFC 3339 in the home's own time (None: nobody knows, or not yet).

    Not `plugged_in_seen`: it may have come earlier; not `unplugged_seen`: it was last seen then and may have
    left later. `energy_by`: register or power; None: nothing measures it. `left_out`: changes of its rate,
    pauses and unseen times beyond what is kept of one session, the oldest but the first."""

    number: int
    asset: str
    open: bool
    plugged_in: str | None
    plugged_in_seen: bool
    unplugged: str | None
    unplugged_seen: bool
    energy_kwh: float | None
    energy_by: str | None
    charging: list[ChargeSpan]
    rates: list[RateLine]
    unseen: list[ChargeSpan]
    left_out: int


class Sessions(TypedDict):
    """Charge sessions in the order they began. `more_after`: ask again after this number, for there may be
    more; `unreadable`: how many were stored and cannot be read."""

    sessions: list[SessionLine]
    more_after: int | None
    unreadable: int


class MinuteLine(TypedDict):
    """One minute of a point as the aggregator is told it: [start, end) in the home's own time, mean power
    (W), energy (Wh), what flowed unseen before it, registers at its end (kWh), how far it may be believed
    and why; what it was held to (W), who governed it, and the instructions on it. None: not known."""

    seq: int
    start: str
    end: str
    power_w: float | None
    energy_wh: float | None
    gap_wh: float | None
    import_register_kwh: float | None
    export_register_kwh: float | None
    quality: str
    reasons: list[str]
    source: str
    coverage: float
    limit_w: float | None
    governed_by: str
    instructions: list[str]
    soc: float | None
    room_c: float | None


class Minutes(TypedDict):
    """Minutes in order. `more_after`: ask again after this number, for there may be more; `unreadable`: how
    many stored packs or minutes cannot be read."""

    point: str
    minutes: list[MinuteLine]
    more_after: int | None
    unreadable: int


class HalfHourLine(TypedDict):
    """One half-hour of a point as the aggregator is told it, [start, end) in the home's own time; energies
    and registers in kWh, import and export apart. None: not known, or not metered. `revision` above 0: it
    corrects the one before."""

    seq: int
    revision: int
    start: str
    end: str
    settlement_date: str
    settlement_period: int
    import_kwh: float | None
    export_kwh: float | None
    import_register_start_kwh: float | None
    import_register_end_kwh: float | None
    export_register_start_kwh: float | None
    export_register_end_kwh: float | None
    method: str
    quality: str
    reasons: list[str]
    coverage: float
    edge_gap_s: float | None


class HalfHours(TypedDict):
    """Half-hours in the order in which they were told; see `Minutes`."""

    point: str
    half_hours: list[HalfHourLine]
    more_after: int | None
    unreadable: int


class PointLine(TypedDict):
    """A point: since when minutes of it are kept, its last one, and how many the aggregator has not
    acknowledged."""

    point: str
    since: str | None
    last: MinuteLine | None
    not_held: int


class Points(TypedDict):
    """All points that minutes are kept of."""

    points: list[PointLine]


class ReportStep(TypedDict):
    """One interval as asked: `kind` of value, its power (W) or charge (0..1)."""

    start: str
    end: str
    kind: str
    power_w: int
    soc: float | None


class ReportSetting(TypedDict):
    """The first setpoint that the asset's device took for it, and when; `by`: what confirms it."""

    at: str
    at_most_w: int | None
    raised: bool
    by: str


class ReportResponse(TypedDict):
    """The sample that first showed that the asset follows, and how long after the setpoint was taken, after
    the start (random delay included) and after the instruction arrived. None: not known."""

    at: str
    power_w: float
    source: str
    after_setting_s: float | None
    after_start_s: float
    after_arrival_s: float | None


class ReportStand(TypedDict):
    """How an asset, or a target as a whole, stood from then on."""

    at: str
    name: str
    status: str
    extent: str
    evidence: str
    reason: str
    text: str
    limit_w: float | None
    measured_w: float | None


class ReportLimit(TypedDict):
    """For how long one reason kept an asset from giving what was asked."""

    reason: str
    s: int


class ReportAsset(TypedDict):
    """One asset's part: how it ended or stands, what first showed it, and its time in the window. The energy
    (kWh) is known once the summary was told."""

    asset: str
    status: str
    extent: str
    evidence: str
    reason: str
    text: str
    setting: ReportSetting | None
    response: ReportResponse | None
    held_s: int
    idle_s: int
    limited_s: int
    limits: list[ReportLimit]
    energy_kwh: float | None
    quality: str


class Report(TypedDict):
    """The evidence of one instruction. Its minutes are those of `points` from `since` until `until`: ask for
    them with meter. `left_out`: how many changes of `history` are beyond what is told."""

    id: str
    revision: int
    service: str
    service_class: str
    service_ref: str | None
    vector: str
    targets: list[str]
    asked: str
    arrived: str | None
    start: str
    end: str
    ended: str | None
    start_delay_s: int
    end_delay_s: int
    steps: list[ReportStep]
    assets: list[ReportAsset]
    history: list[ReportStand]
    left_out: int
    points: list[str]
    since: str
    until: str


class Done(TypedDict):
    """Something was done."""

    done: str


class Problem(TypedDict):
    """Nothing was done, and why."""

    error: str


Answer = (
    Status
    | WhyAll
    | Dispatch
    | TrustedKeys
    | Sessions
    | Minutes
    | HalfHours
    | Points
    | Report
    | Done
    | Problem
)
