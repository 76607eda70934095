"""A child process: started, guarded, watched or debugged, and ended in time."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Callable, NamedTuple

from depwalk import core
from depwalk.loader.story import Story, Teller, watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

INSIDE = Path(__file__).parents[1] / "inside"
SCRIPT = INSIDE / "child.py"
_CREATE_NO_WINDOW = 0x08000000
_DEBUG_ONLY_THIS_PROCESS, _DEBUG_PROCESS = 0x2, 0x1
_TAIL = 16_384  # bytes of output that are kept
_CHUNK = 65_536
_SLICE = 0.05  # seconds between looks at the clock
_GRACE = 5.0  # seconds for a process that was ended to be gone
_LONGEST_RECORD = 64 * 1024 * 1024  # bytes


class Ran(NamedTuple):
    """How a child ended, and what it left."""

    records: tuple[dict[str, Any], ...]
    story: Story
    exit_code: int  # 0 if it was ended
    timed_out: bool
    output: str  # the end of what it wrote
    elapsed_ms: float

    @property
    def began(self) -> bool:
        """The script inside came so far that it could do what it was told."""
        return any("ready" in record for record in self.records)

    def check(self) -> None:
        """Raises OSError, with what it said last, for a child that ended before it began."""
        if not self.began and not self.timed_out:
            said = self.output.strip()[-300:]
            raise OSError(f"the child process ended with 0x{self.exit_code:X} before it began{said and ': '}{said}")


@dataclass
class Tail:
    """Reads a pipe to its end, keeps the last part, and passes everything on if somebody wants it."""

    pass_on: Callable[[bytes], None] | None = None
    kept: bytearray = field(default_factory=bytearray)

    def read(self, pipe: IO[bytes]) -> None:
        """Runs in a thread of its own."""
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(pipe.fileno(), _CHUNK):
                self.kept += chunk
                del self.kept[:-_TAIL]
                if self.pass_on is not None:
                    self.pass_on(chunk)


def run(
    command: Sequence[str],
    request: Mapping[str, Any],
    *,
    timeout: float | None,
    debug: bool = False,
    children: bool = False,
    snaps: bool = False,
    variables: Mapping[str, str] | None = None,
    pass_on: Callable[[bytes], None] | None = None,
) -> Ran:
    """Run a command, to which the folder with the request is appended if it ends with the child's script.

    `timeout` in seconds, None for a program that a person runs; `debug` follows it with the debug API, with `children`
    also the processes that it starts; `variables` are set in its environment, which is this process's own. Raises
    OSError if no process can be started.
    """
    with _folder() as folder:
        Path(folder, "request").write_text(json.dumps(request), "utf-8")
        script = command[-1] == str(SCRIPT)
        full = [*command, folder] if script else list(command)
        record = {} if script else {"DEPWALK_RECORD": folder}
        started = time.perf_counter()
        flags = (_DEBUG_PROCESS if children else _DEBUG_ONLY_THIS_PROCESS) if debug else 0
        child = subprocess.Popen(
            full,
            stdin=subprocess.PIPE if script else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(variables or {}), **record, "_NO_DEBUG_HEAP": "1"},
            creationflags=flags | (_CREATE_NO_WINDOW if script else 0),
        )
        supervised = _Supervised(child, started, None if timeout is None else started + timeout, Tail(pass_on))
        story = supervised.run(debug=debug, snaps=snaps)
        elapsed = (time.perf_counter() - started) * 1000
        records = tuple(_records(folder))
        story = story or watched(_bytes(Path(folder, "exceptions")))
    output = bytes(supervised.tail.kept).decode("utf-8", "replace").replace("\r\n", "\n")
    return Ran(records, story, child.returncode & 0xFFFFFFFF, supervised.timed_out, output, elapsed)


@dataclass
class _Supervised:
    """A child on its way to its end. Both ways of waiting end it when its time is up."""

    child: subprocess.Popen[bytes]
    started: float
    deadline: float | None
    tail: Tail
    timed_out: bool = False

    def run(self, *, debug: bool, snaps: bool) -> Story | None:
        guard = _guard(self.child)  # the child waits for its gate, or for its debugger: nothing foreign runs before
        assert self.child.stdout is not None
        reader = threading.Thread(target=self.tail.read, args=(self.child.stdout,), daemon=True)
        reader.start()
        try:
            self._open_gate()
            if debug:
                return self._debug(snaps=snaps)
            self._wait()
            return None
        finally:
            if guard is not None:
                guard.close()  # ends what the child started and left
            self._kill()
            self.child.wait()
            reader.join(_GRACE)
            if not reader.is_alive():
                self.child.stdout.close()

    def _kill(self) -> None:
        with contextlib.suppress(PermissionError):  # Windows refuses to end what is about to end
            self.child.kill()

    def _open_gate(self) -> None:
        if self.child.stdin is not None:
            with contextlib.suppress(OSError):  # it may be dead already
                self.child.stdin.write(b"\n")
                self.child.stdin.close()

    def _left(self) -> float:
        return _SLICE if self.deadline is None else self.deadline - time.perf_counter()

    def _wait(self) -> None:
        left = None if self.deadline is None else max(self._left(), 0.001)
        try:
            self.child.wait(left)
        except subprocess.TimeoutExpired:
            self.timed_out = True

    def _debug(self, *, snaps: bool) -> Story:
        teller = Teller()
        debugger = core.Debugger()
        while True:
            if self._left() <= 0:
                if self.timed_out:
                    return teller.story()  # it was ended, and still is not gone
                self.timed_out = True
                self._kill()
                self.deadline = time.perf_counter() + _GRACE
            event = debugger.wait(max(1, int(min(self._left(), _SLICE) * 1000)))
            if event is None:
                if self.child.poll() is not None and not teller.running:
                    return teller.story()
                continue
            handled = teller.take(event, (time.perf_counter() - self.started) * 1000)
            if snaps and event.kind == core.PROCESS:
                with contextlib.suppress(OSError):  # the story is told without
                    debugger.show_snaps(event.process)
            debugger.go_on(handled=handled)
            if event.kind == core.EXIT and event.process == self.child.pid:
                self._end_descendants(teller, debugger)
                return teller.story()

    def _end_descendants(self, teller: Teller, debugger: core.Debugger) -> None:
        """Processes that the child left run on until their own end, within the time that is left."""
        until = time.perf_counter() + _GRACE
        while teller.running and time.perf_counter() < until and self._left() > 0:
            event = debugger.wait(int(_SLICE * 1000))
            if event is not None:
                handled = teller.take(event, (time.perf_counter() - self.started) * 1000)
                debugger.go_on(handled=handled)


def _guard(child: subprocess.Popen[bytes]) -> core.Guard | None:
    """Put the child into a job of its own; Windows 7 refuses that to a process that is in a job itself."""
    try:
        return core.Guard(int(child._handle))  # type: ignore[attr-defined]  # noqa: SLF001  (it has no public name)
    except OSError:
        return None


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """A temporary folder; what a dying process still holds open is tried again."""
    folder = tempfile.mkdtemp(prefix="depwalk-")
    try:
        yield folder
    finally:
        until = time.perf_counter() + _GRACE
        shutil.rmtree(folder, ignore_errors=True)
        while os.path.exists(folder) and time.perf_counter() < until:
            time.sleep(_SLICE)
            shutil.rmtree(folder, ignore_errors=True)


def _records(folder: str) -> Iterator[dict[str, Any]]:
    """Every line of every record file; a line that a dying process did not finish is left out."""
    for path in sorted(Path(folder).glob("record*"), key=lambda found: found.stat().st_mtime):
        process = path.name.partition("-")[2]
        for line in _bytes(path).decode("ascii", "replace").splitlines():
            if line.endswith("}"):
                with contextlib.suppress(ValueError):
                    yield {**json.loads(line), **({"process": int(process)} if process else {})}


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_RECORD)
    except OSError:
        return b""


def can_debug(architecture: str, own: str) -> bool:
    """A 32-bit process cannot debug a 64-bit one."""
    return sys.platform == "win32" and not (own == "x86" and architecture != "x86")
