"""What the household and the installer say of one asset: comfort, care, charge, and when."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gateway.daemon.fields import (
    DAYS,
    Claim,
    Day,
    EndOfDay,
    NoPercent,
    Number,
    Seconds,
    Section,
    Share,
    StartOfDay,
    Watts,
    Whole,
)

FROST_C, FROST_HOLD_S = -5.0, 3600.0  # modbus reference C3
FROST_REST_S = 7200.0  # below 0 °C, modbus reference C1
OUTDOOR_MIN_C = -10.0  # colder than British heat pumps are laid out for: what is lost is not made up for
LEGIONELLA_EVERY_DAYS = 8.0  # modbus reference C4
WATER_MIN_C, WATER_LEAST_C, WATER_MOST_C = 40.0, 35.0, 60.0  # above 60 °C it scalds; modbus reference C4
BLOCKS_PER_DAY, HELD_PER_DAY_S = 3, 18_000.0  # of heat, modbus reference C1
REST_S = 3600.0  # an hour between holds, modbus reference C1
MOST_FALL_K = 2.0  # of the room in a hold: ours, modbus reference C5 has 1.5
PREHEAT_LEAST = 0.5  # of both: with less nothing is begun
PREHEAT_MOST_K, PREHEAT_MOST_H = 2.0, 3.0  # modbus reference C1
COLD_OFF_S = {"fridge": 1800.0, "freezer": 3600.0}  # longest off, plugs reference 8
COLD_OFF_MOST_S = {"fridge": 7200.0, "freezer": 14_400.0}  # food spoils; the household may only tighten
COLD_ON_S = 21_600.0  # between two offs of a cold appliance, plugs reference 8; the household may lengthen it
COLD_REST_S = 300.0  # a compressor stays off for so long, plugs reference 8; the household may lengthen it
COLD_STARTS = 2  # offs a day, plugs reference 8
CHANGE_EVERY_S, PAUSE_S = 10.0, 300.0  # of a charger, ocpp reference 4
CHANGE_LEAST_W, HALF_AMPERE = 100, 1 / 12  # of a charger, ocpp reference 4; its lowest is 6 A
COLD_AIR_MAX_C = {"fridge": 8.0, "freezer": -15.0}  # food keeps below, plugs reference 8


class Row(Section):
    """A value at local times of the week; where rows overlap the later one in the list holds.

    An end that is not after the start is on the next day."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    start: StartOfDay = Field(alias="from")
    end: EndOfDay = Field(alias="to")
    value: Number


class Weekly(Section):
    """A value by time of the week, and the one that holds otherwise."""

    times: tuple[Row, ...] = ()
    otherwise: Number | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """Every value it can take."""
        found = tuple(row.value for row in self.times)
        return found if self.otherwise is None else (*found, self.otherwise)


def _weekly(value: object) -> object:
    if isinstance(value, Mapping | Weekly):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number (°C), or a table with `times` and `otherwise`")
    return {"otherwise": value}


class Preheat(Section):
    """How far the household lets what heats be raised, of its room and in all: both are its to say."""

    kelvin: Annotated[Number, Field(ge=PREHEAT_LEAST, le=PREHEAT_MOST_K)]
    hours: Annotated[Number, Field(ge=PREHEAT_LEAST, le=PREHEAT_MOST_H)]


class Comfort(Section):
    """The household's comfort: room band (°C, a number or by time), hot water (°C, of the tank), how long a
    hold may be, how often and how long in all within a day, and whether it is pre-heated."""

    room_min_c: Weekly = Weekly()
    room_max_c: Weekly = Weekly()
    hysteresis_c: Annotated[Number, Field(ge=0, le=2)] = 0.3
    room_max_age_s: Seconds = 900.0
    water_min_c: Annotated[Number, Field(ge=WATER_LEAST_C, le=WATER_MOST_C)] | None = None
    water_hysteresis_c: Annotated[Number, Field(ge=0, le=10)] = 3.0
    longest_hold_s: Annotated[Seconds, Field(gt=0)] | None = None
    rest_s: Seconds = REST_S
    most_fall_k: Annotated[Number, Field(gt=0, le=10)] | None = None
    blocks_per_day: Annotated[Whole, Field(ge=1, le=24)] | None = None
    held_per_day_s: Annotated[Number, Field(gt=0, le=86_400)] | None = None
    preheat: Preheat | None = None

    @field_validator("room_min_c", "room_max_c", mode="before")
    @classmethod
    def _number_or_table(cls, value: object) -> object:
        return _weekly(value)

    @field_validator("room_min_c", "room_max_c")
    @classmethod
    def _liveable(cls, weekly: Weekly) -> Weekly:
        for value in weekly.values:
            if not 5 <= value <= 30:
                raise ValueError(f"should be between 5 and 30 °C, not {value:g}")
        return weekly

    @model_validator(mode="after")
    def _band(self) -> Self:
        low, high = self.room_min_c.values, self.room_max_c.values
        if low and high and max(low) >= min(high):
            raise ValueError(f"room_min_c {max(low):g} is not below room_max_c {min(high):g}")
        return self


TAPER_FROM_SOC = 0.8  # a house's power is little to a battery: most cars hold it to here and beyond
Outdoor = Annotated[Number, Field(ge=-30, le=10)]
Starts = Annotated[Whole, Field(ge=0, le=24)]  # 0: as often as it likes


class Care(Section):
    """What the appliance needs (s): how long it runs once started, how long it rests once held off, how often
    an off of ours may end; for one behind a plug, how long it may be off and how long it must be on before
    the next time; for a cold one, how warm its air may be (°C). For heat: how short holds are in frost (°C
    outside) and how long the rest, and how often its hot water is heated against legionella. For a
    charger: how often and for how much (W) it is told another power, and how long it is paused, or runs, at
    the least."""

    min_run_s: Seconds | None = None
    min_rest_s: Seconds | None = None
    appliance: Literal["fridge", "freezer"] | None = None
    longest_off_s: Annotated[Seconds, Field(gt=0)] | None = None
    shortest_on_s: Seconds | None = None
    starts_per_hour: Starts | None = None
    starts_per_day: Starts | None = None
    air_max_c: Annotated[Number, Field(ge=-30, le=15)] | None = None
    frost_c: Outdoor = FROST_C
    frost_hold_s: Annotated[Seconds, Field(gt=0)] = FROST_HOLD_S
    frost_rest_s: Seconds = FROST_REST_S
    outdoor_min_c: Outdoor = OUTDOOR_MIN_C
    off_may_freeze: Claim = False
    legionella_every_days: Annotated[Number, Field(ge=1, le=90)] | None = None
    change_every_s: Annotated[Number, Field(ge=0, le=60)] | None = None
    min_change_w: Annotated[Watts, Field(ge=0, le=2000)] | None = None
    pause_s: Annotated[Number, Field(ge=0, le=1800)] | None = None

    @property
    def is_cold(self) -> bool:
        """Whether food spoils when it is off."""
        return self.appliance is not None

    @property
    def off_most_s(self) -> float | None:
        """The longest off in force; None: none is said."""
        if self.longest_off_s is not None or self.appliance is None:
            return self.longest_off_s
        return COLD_OFF_S[self.appliance]

    @model_validator(mode="after")
    def _colder_is_stricter(self) -> Self:
        if self.outdoor_min_c > self.frost_c:
            raise ValueError(f"outdoor_min_c {self.outdoor_min_c:g} is above frost_c {self.frost_c:g}")
        return self

    @model_validator(mode="after")
    def _keeps_food(self) -> Self:
        if self.appliance is None:
            return self
        most_s = COLD_OFF_MOST_S[self.appliance]
        if self.longest_off_s is not None and self.longest_off_s > most_s:
            raise ValueError(f"a {self.appliance} is off for at most longest_off_s = {most_s:g}, or less")
        if self.shortest_on_s is not None and self.shortest_on_s < COLD_ON_S:
            raise ValueError(f"a {self.appliance} is on for at least shortest_on_s = {COLD_ON_S:g}")
        if self.min_rest_s is not None and self.min_rest_s < COLD_REST_S:
            raise ValueError(f"a {self.appliance} is off for at least min_rest_s = {COLD_REST_S:g}")
        if self.starts_per_day is not None and not 1 <= self.starts_per_day <= COLD_STARTS:
            raise ValueError(f"a {self.appliance} has at most starts_per_day = {COLD_STARTS}, or 1")
        most_c = COLD_AIR_MAX_C[self.appliance]
        if self.air_max_c is not None and self.air_max_c > most_c:
            raise ValueError(f"a {self.appliance} has at most air_max_c = {most_c:g}, or less")
        return self


class ReadyBy(Section):
    """A local time of the week by which the car or the store is ready."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    at: StartOfDay


WEEKDAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")
PEAK = (  # held off by default: the hours of regulation 10, standards reference b.1
    Row.model_validate({"days": WEEKDAYS, "from": "08:00", "to": "11:00", "value": 0}),
    Row.model_validate({"days": WEEKDAYS, "from": "16:00", "to": "22:00", "value": 0}),
)


def _time_or_table(value: object) -> object:
    if isinstance(value, str):
        return [{"at": value}]
    if isinstance(value, list | tuple) and all(isinstance(row, Mapping | ReadyBy) for row in value):
        return value
    rows = '[{ days = ["sat", "sun"], at = "09:00" }]'
    raise ValueError(f'should be a time of day in quotes, as in "07:00", or a list, as in {rows}')


Ready = Annotated[tuple[ReadyBy, ...], BeforeValidator(_time_or_table)]


class Charge(Section):
    """The household's wishes for a car: SoC from 0 to 1, energies in kWh, and by when it is ready; and
    whether it keeps off the peak while no schedule is said (None: in Great Britain)."""

    battery_kwh: Annotated[Number, Field(gt=0, le=300)] | None = None
    min_soc: Share | None = None
    target_soc: Share | None = None
    max_soc: Share | None = None
    ready_by: Ready = ()
    need_kwh: Annotated[Number, Field(gt=0, le=300)] | None = None
    efficiency: Annotated[Number, Field(ge=0.5, le=1), NoPercent] = 0.9
    taper_from_soc: Share = TAPER_FROM_SOC
    default_hours: Claim | None = None

    @property
    def names_soc(self) -> bool:
        """Whether one of its limits is a SoC."""
        return (self.min_soc, self.target_soc, self.max_soc) != (None, None, None)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        said = [
            (name, soc)
            for name in ("min_soc", "target_soc", "max_soc")
            if (soc := getattr(self, name)) is not None
        ]
        for (lower, low), (upper, high) in pairwise(said):
            if low > high or (low == high and lower == "min_soc"):
                right = "min_soc = 0.2, target_soc = 0.8, max_soc = 0.9 would be right"
                raise ValueError(f"{lower} {low:g} is not below {upper} {high:g}; {right}")
        if self.target_soc is not None and self.battery_kwh is None:
            raise ValueError("target_soc needs battery_kwh, as in battery_kwh = 60")
        if self.min_soc is not None and self.battery_kwh is None and self.need_kwh is None:
            raise ValueError("min_soc needs battery_kwh = 60, for while nothing measures, or need_kwh = 20")
        if self.ready_by and self.target_soc is None and self.need_kwh is None:
            raise ValueError("ready_by needs target_soc = 0.8 (with battery_kwh), or need_kwh = 20")
        return self


class Store(Section):
    """The household's wishes for a store that heats: its level from 0 to 1, energies in kWh, and by when it
    has what it needs, if that is before the end of its charging hours."""

    capacity_kwh: Annotated[Number, Field(gt=0, le=300)] | None = None
    need_kwh: Annotated[Number, Field(gt=0, le=300)] | None = None
    ready_by: Ready = ()
    min_level: Share | None = None
    max_level: Share | None = None

    @property
    def names_level(self) -> bool:
        """Whether one of its limits is a level."""
        return (self.min_level, self.max_level) != (None, None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        low, high = self.min_level, self.max_level
        if low is not None and low >= (1.0 if high is None else high):
            right = "min_level = 0.2, max_level = 1.0 would be right"
            raise ValueError(
                f"min_level {low:g} is not below max_level {1.0 if high is None else high:g}; {right}"
            )
        if self.need_kwh and self.capacity_kwh and self.need_kwh > self.capacity_kwh:
            raise ValueError(f"need_kwh {self.need_kwh:g} is above capacity_kwh {self.capacity_kwh:g}")
        if self.ready_by and self.need_kwh is None:
            raise ValueError("ready_by needs need_kwh, as in need_kwh = 12")
        return self
