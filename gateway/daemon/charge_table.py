"""The store's table of charge sessions, in SQL. An older version of this program does not look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.daemon.change import DropChargeSessions, PutChargeSession

KEPT_MAX = 4000  # the oldest go first: ten a day for thirteen months
READ_MAX = 20  # at once: the largest take the loop 2 ms each

TABLE = """
create table if not exists charge_session (number integer primary key, asset text not null, begin_utc_s real,
  last_utc_s real, is_open integer not null, blob blob not null)
"""
CHANGES: Mapping[type[Any], str] = {
    PutChargeSession: "insert into charge_session values (?1, ?2, ?3, ?4, ?5, ?6)"
    " on conflict (number) do update set begin_utc_s = ?3, last_utc_s = ?4, is_open = ?5, blob = ?6",
    # One without a time is as old as those around it.
    DropChargeSessions: "delete from charge_session where last_utc_s < ?1 or (last_utc_s is null and number <"
    " (select max(number) from charge_session where last_utc_s < ?1))",
}
DROP_BELOW = "delete from charge_session where number <= ?1"
OPEN = "select number, blob from charge_session where is_open"
LAST = "select coalesce(max(number), 0) from charge_session"
# One without a time may have been at any.
FOUND = """
select number, blob from charge_session where number > ?1 and (?2 is null or asset = ?2)
  and (?3 is null or last_utc_s is null or last_utc_s >= ?3)
  and (?4 is null or begin_utc_s is null or begin_utc_s < ?4) order by number limit ?5
"""
