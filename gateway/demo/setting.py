"""The home every scene is set in: names, powers, limits, timers.

The configuration file is written from these, the scenes are played by them, and the judge judges by them.
"""

from __future__ import annotations

SITE = "demo-home"
ZONE = "Europe/London"
EV, HEAT, FREEZER, BOUNDARY = "ev", "heat", "freezer", "boundary"
POINTS = (EV, HEAT, FREEZER, BOUNDARY)  # each is metered every minute

CAR_W = 7360.0  # 32 A on one phase
CAR_LEAST_W = 1380.0  # 6 A: below it a car does not charge
PUMP_W = 2400.0
FREEZER_W = 150.0

ROOM_MIN_C = 19.0
LONGEST_OFF_S = 30.0  # of the freezer; short, so that the demo can wait for it
SHORTEST_ON_S = 15.0

# How long each device keeps what it was last told: three times that can be told apart.
PLUG_LEASE_S = 30.0  # no longer than its longest off
CAR_LEASE_S = 90.0
WATCHDOG_S = 120.0  # the pump's own, on register 71
SURPLUS_REGISTER = 71

BATTERY_KWH = 3.0  # as power shows it: the car's battery runs 20 times faster than life
CHARGED_SHARE = 0.9  # of the energy metered, what reaches the battery
TYPED_SOC = 0.55
START_SHARE = 0.8  # of the car's power: by it the latest start is reckoned
