"""A disk that forgets what was not synced: what a power cut at any moment would leave of a folder.

A program runs under `strace`, which records every change it makes to the files of one folder. `Disk` replays
the record up to any system call and hands out the states a power cut there may leave: what was synced is
there, of the rest any part, in any order, torn within a page. Real code, real SQLite, no help from either.

The program says `mark("text")` when it believes something is safe: `Moment.marks` are those it said so far.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512  # bytes that a disk writes whole
RUN_S = 60
MARK = b"forgetful-disk: "

# Everything that can change a file; what this record cannot replay is an error, never overlooked.
_CALLS = (
    "openat", "open", "creat", "write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile",
    "copy_file_range", "fsync", "fdatasync", "ftruncate", "truncate", "fallocate", "mmap", "lseek",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat",
)  # fmt: skip
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. \w+ resumed>)?(.*)$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|<((?:\\x[0-9a-f]{2})*)>(?:\(deleted\))?')


def mark(text: str) -> None:
    """Tell the record that something is safe now."""
    os.write(2, MARK + text.encode() + b"\n")


def why_not() -> str | None:
    """Why this machine cannot record, for a skip; None if it can."""
    if not shutil.which("strace"):
        return "strace is not installed (apt install strace)"
    tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, timeout=RUN_S)
    return f"strace may not trace here: {tried.stderr.decode().strip()}" if tried.returncode else None


def record(command: Sequence[str], folder: Path) -> Disk:
    """Run the command to its end and record what it does to the files of `folder`, empty at the start.

    Raises:
        RuntimeError: it failed, or did something that cannot be replayed.
    """
    log = folder.with_name(folder.name + ".strace")
    tracing = [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        str(1 << 24),
        "-e",
        "trace=" + ",".join(_CALLS),
        "-o",
        str(log),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([*tracing, *command], capture_output=True, timeout=RUN_S, env=environment)
    if ran.returncode:
        raise RuntimeError(f"{command} ended with {ran.returncode}: {ran.stderr.decode()[-2000:]}")
    with log.open() as lines:
        return replayed(lines, folder)


def replayed(lines: Iterable[str], folder: Path) -> Disk:
    """What strace's lines did to the files of `folder`; a call may be told in two, with others between."""
    return Disk(list(_Reader(str(folder.resolve())).steps(_whole_calls(lines))))


# --- what a power cut leaves ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done. To contents, by file number: `write` (at, data), `truncate` (at), `sync`. To names:
    `names` (name -> file number, or None where it was removed), `sync` of file 0, the folder. And `mark`."""

    verb: str
    file: int = 0
    at: int = 0
    data: bytes = b""
    names: tuple[tuple[str, int | None], ...] = ()


@dataclass
class Moment:
    """The disk right after a step. What is synced is certain; `pending` may have arrived, or a part of it."""

    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)
    marks: tuple[str, ...] = ()

    def after(self, step: Step) -> Moment:
        """The next moment."""
        if step.verb == "mark":
            return Moment(self.contents, self.names, self.pending, (*self.marks, step.data.decode()))
        if step.verb != "sync":
            return Moment(self.contents, self.names, [*self.pending, step], self.marks)
        # Contents are synced through their file, names through the folder: POSIX promises no more.
        arrived = [s for s in self.pending if s.file == step.file]
        waiting = [s for s in self.pending if s.file != step.file]
        return Moment(*self._with(arrived), waiting, self.marks)

    def leavings(self, draw: random.Random, count: int) -> Iterator[dict[str, bytes]]:
        """States a power cut now may leave: nothing more, everything, then `count` drawn ones."""
        yield self._files([])
        if self.pending:
            yield self._files(self.pending)
            for _ in range(count):
                yield self._files([part for step in self.pending for part in _torn(step, draw)])

    def _files(self, arrived: Sequence[Step]) -> dict[str, bytes]:
        contents, names = self._with(arrived)
        return {name: contents.get(file, b"") for name, file in names.items()}

    def _with(self, arrived: Sequence[Step]) -> tuple[dict[int, bytes], dict[str, int]]:
        changed = {s.file: bytearray(self.contents.get(s.file, b"")) for s in arrived if s.file}
        names: dict[str, int | None] = {**self.names}
        for step in arrived:
            names.update(step.names)
            if step.verb == "write":
                changed[step.file].extend(bytes(max(0, step.at - len(changed[step.file]))))
                changed[step.file][step.at : step.at + len(step.data)] = step.data
            elif step.verb == "truncate":
                changed[step.file][step.at :] = bytes(max(0, step.at - len(changed[step.file])))
        contents = {**self.contents, **{file: bytes(content) for file, content in changed.items()}}
        return contents, {name: file for name, file in names.items() if file is not None}


@dataclass
class Disk:
    """Everything that was done to one folder."""

    steps: list[Step]

    def moments(self) -> Iterator[Moment]:
        """Every moment, from before the first step to after the last."""
        return itertools.accumulate(self.steps, Moment.after, initial=Moment())


def lay_out(files: dict[str, bytes], folder: Path) -> None:
    """Make the folder hold exactly these files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _torn(step: Step, draw: random.Random) -> Iterator[Step]:
    """What of a step arrived: all, nothing, or some of its sectors."""
    fate = draw.choice(("all", "nothing", "torn"))
    if fate == "all":
        yield step
    elif fate == "torn" and step.verb == "write":
        for start in range(0, len(step.data), SECTOR):
            if draw.random() < 0.5:
                yield Step("write", step.file, step.at + start, step.data[start : start + SECTOR])


# --- reading the record ---------------------------------------------------------------------------------


def _whole_calls(lines: Iterable[str]) -> Iterator[str]:
    """Calls in the order of their returns: a sync counts from then on. Writes to one file have one writer."""
    begun: dict[str, str] = {}
    for line in lines:
        matched = _LINE.match(line.rstrip("\n"))
        assert matched, line
        thread, call = matched.groups()
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>")
        else:
            yield begun.pop(thread, "") + call


class _Reader:
    """Turns calls into steps; knows which name is which file, and where each open file stands."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._names: dict[str, int] = {}
        self._sizes: dict[int, int] = {}
        self._offsets: dict[str, int] = {}  # by descriptor

    def steps(self, calls: Iterable[str]) -> Iterator[Step]:
        for call in calls:
            verb, _, rest = call.partition("(")
            arguments, _, answer = rest.rpartition(" = ")
            if answer.startswith("-1 "):
                continue
            texts = [bytes.fromhex((a or b).replace("\\x", "")) for a, b in _TEXT.findall(arguments)]
            if verb == "write" and texts[-1].startswith(MARK):
                yield Step("mark", data=texts[-1].removeprefix(MARK).rstrip(b"\n"))
            elif any(self._is_ours(text) for text in texts):
                yield from self._step(verb, _TEXT.sub("", arguments).rstrip(") ").split(", "), answer, texts)

    def _is_ours(self, text: bytes) -> bool:
        path = text.decode(errors="replace")
        return path == self._folder or path.startswith(self._folder + "/")

    def _step(self, verb: str, arguments: list[str], answer: str, texts: list[bytes]) -> Iterator[Step]:
        paths = [text.decode(errors="replace") for text in texts]
        if verb in ("openat", "open", "creat"):
            yield from self._open(
                next(p for p in reversed(paths) if p.startswith(self._folder)), arguments, answer
            )
        elif verb in ("write", "pwrite64"):
            at = int(arguments[3]) if verb == "pwrite64" else self._offsets[arguments[0]]
            yield self._write(self._names[paths[0]], at, texts[1][: int(answer)])
            if verb == "write":
                self._offsets[arguments[0]] = at + int(answer)
        elif verb in ("fsync", "fdatasync"):
            yield Step("sync", self._names.get(paths[0], 0))
        elif verb == "ftruncate":
            self._sizes[self._names[paths[0]]] = int(arguments[1])
            yield Step("truncate", self._names[paths[0]], int(arguments[1]))
        elif verb == "lseek":
            self._offsets[arguments[0]] = int(answer)
        elif verb in ("unlink", "unlinkat"):
            del self._names[paths[-1]]
            yield self._named({paths[-1]: None})
        elif verb in ("rename", "renameat", "renameat2"):
            old, new = (path for path in paths if path != self._folder)
            self._names[new] = self._names.pop(old)
            yield self._named({old: None, new: self._names[new]})
        elif verb != "mmap" or ("PROT_WRITE" in arguments[2] and "MAP_SHARED" in arguments[3]):
            raise RuntimeError(f"{verb} on {paths[0]} cannot be replayed")

    def _open(self, path: str, arguments: list[str], answer: str) -> Iterator[Step]:
        flags = " ".join(arguments)
        if path == self._folder:
            return
        if path not in self._names:
            self._names[path] = next(self._numbers)
            yield self._named({path: self._names[path]})
        file = self._names[path]
        if "O_TRUNC" in flags and self._sizes.get(file):
            self._sizes[file] = 0
            yield Step("truncate", file, 0)
        self._offsets[answer.partition("<")[0]] = self._sizes.get(file, 0) if "O_APPEND" in flags else 0

    def _write(self, file: int, at: int, data: bytes) -> Step:
        self._sizes[file] = max(self._sizes.get(file, 0), at + len(data))
        return Step("write", file, at, data)

    def _named(self, names: dict[str, int | None]) -> Step:
        return Step("names", names=tuple((os.path.basename(path), file) for path, file in names.items()))
