"""The store's table of instructions that ended, in SQL. An older version of this program ignores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.daemon.change import DropEvidence, PutEvidence

KEPT_MAX = 4000  # the oldest go first: forty a day for ninety days
READ_MAX = 5  # at once: two are one too many already

TABLE = """
create table if not exists evidence (number integer primary key, id text not null unique,
  ended_utc_s real not null, blob blob not null)
"""
CHANGES: Mapping[type[Any], str] = {
    PutEvidence: "insert into evidence (id, ended_utc_s, blob) values (?1, ?2, ?3)"
    " on conflict (id) do update set ended_utc_s = ?2, blob = ?3",
    DropEvidence: "delete from evidence where ended_utc_s < ?1",
}
DROP_BELOW = "delete from evidence where number <= (select max(number) from evidence) - ?1"
# By how the id begins, the whole id first; of no beginning, the last ones.
FOUND = """
select id, blob from evidence where ?1 = '' or (id >= ?1 and id < ?1 || char(1114111))
  order by id <> ?1, number desc limit ?2
"""
