"""The forgetful disk forgets exactly what was not synced, and its replay is what the real disk holds."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.faults import forgetful_disk
from tests.faults.forgetful_disk import Disk, Moment, record, replayed

pytestmark = pytest.mark.skipif(
    forgetful_disk.why_not() is not None, reason=forgetful_disk.why_not() or "it can record"
)

_HEAD = """
import os, sys
from tests.faults.forgetful_disk import mark
os.chdir("/")
folder = sys.argv[1]
def sync(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
"""


def _recorded(tmp_path: Path, program: str) -> tuple[Disk, Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    return record([sys.executable, "-c", _HEAD + program, str(folder)], folder), folder


def _at(disk: Disk, mark: str) -> Moment:
    return next(moment for moment in disk.moments() if mark in moment.marks)


def _leavings(moment: Moment) -> list[dict[str, bytes]]:
    return list(moment.leavings(random.Random(1), 200))


def test_what_was_not_synced_may_be_gone_and_what_was_is_there(tmp_path: Path) -> None:
    program = """
with open(folder + "/a", "wb") as file:
    file.write(b"one")
    file.flush()
    mark("written")
    os.fsync(file.fileno())
    mark("synced")
    sync(folder)
    mark("named")
    file.write(b" two")
    file.flush()
    mark("more")
"""
    disk, _ = _recorded(tmp_path, program)
    assert {str(left) for left in _leavings(_at(disk, "written"))} == {"{}", "{'a': b''}", "{'a': b'one'}"}
    assert {str(left) for left in _leavings(_at(disk, "synced"))} == {"{}", "{'a': b'one'}"}
    assert _leavings(_at(disk, "named")) == [{"a": b"one"}]
    assert {left["a"] for left in _leavings(_at(disk, "more"))} == {b"one", b"one two"}


def test_a_long_write_may_be_torn(tmp_path: Path) -> None:
    program = """
file = os.open(folder + "/a", os.O_CREAT | os.O_WRONLY)
sync(folder)
os.pwrite(file, b"x" * 1024, 0)
mark("end")
"""
    disk, _ = _recorded(tmp_path, program)
    found = {left["a"] for left in _leavings(_at(disk, "end"))}
    assert found == {b"", b"x" * 512, bytes(512) + b"x" * 512, b"x" * 1024}


def test_a_rename_beside_a_sync_is_the_old_or_the_new_file_whole(tmp_path: Path) -> None:
    program = """
for content in (b"old", b"new"):
    with open(folder + "/a.part", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(folder + "/a.part", folder + "/a")
    if content == b"old":
        sync(folder)
mark("end")
"""
    disk, _ = _recorded(tmp_path, program)
    assert {left["a"] for left in _leavings(_at(disk, "end"))} == {b"old", b"new"}


def test_a_rename_without_a_sync_of_the_file_is_found_to_be_unsafe(tmp_path: Path) -> None:
    program = """
for content in (b"old", b"new"):
    with open(folder + "/a.part", "wb") as file:
        file.write(content)
    os.rename(folder + "/a.part", folder + "/a")
    if content == b"old":
        sync(folder + "/a")
        sync(folder)
mark("end")
"""
    disk, _ = _recorded(tmp_path, program)
    assert b"" in {left["a"] for left in _leavings(_at(disk, "end"))}


def test_the_replay_of_everything_is_what_the_folder_holds(tmp_path: Path) -> None:
    program = """
import sqlite3
database = sqlite3.connect(folder + "/a.db", isolation_level=None)
database.execute("create table t (x)")
for n in range(20):
    database.execute("insert into t values (?)", ("x" * 100 * n,))
database.close()
with open(folder + "/log", "a") as log:
    log.write("one ")
with open(folder + "/log", "a") as log:
    log.write("two")
    log.truncate(6)
mark("end")
"""
    disk, folder = _recorded(tmp_path, program)
    everything = list(_at(disk, "end").leavings(random.Random(1), 0))[-1]
    assert everything == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert everything["log"] == b"one tw"


def test_what_cannot_be_replayed_is_an_error(tmp_path: Path) -> None:
    program = """
import mmap
file = os.open(folder + "/a", os.O_CREAT | os.O_RDWR)
os.truncate(file, 4096)
mmap.mmap(file, 4096)[0] = 1
"""
    with pytest.raises(RuntimeError, match="mmap"):
        _recorded(tmp_path, program)


def test_a_call_told_in_two_lines_is_the_call_it_is_in_one(tmp_path: Path) -> None:
    def in_hex(text: str) -> str:
        return "".join(f"\\x{byte:02x}" for byte in text.encode())

    file = in_hex(str(tmp_path / "f"))
    opened = f'7 openat(AT_FDCWD, "{file}", O_RDWR|O_CREAT, 0644) = 3<{file}>'
    begun, rest = f'pwrite64(3<{file}>, "{in_hex("ab")}", 2, 491568', ")          = 2"
    whole = replayed([opened, f"7 {begun}{rest}"], tmp_path)
    lines = [opened, f"7 {begun} <unfinished ...>", "8 fsync(9) = 0", f"7 <... pwrite64 resumed>{rest}"]
    assert whole.steps[-1].at == 491568
    assert replayed(lines, tmp_path) == whole
