"""The server as a process of its own that can be killed and started again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType

__all__ = ["ServerProcess", "run_command"]

STOP_S = 60.0


class ServerProcess:
    """``vizsla serve RUN --embedded``, on a new free port at each start.

    Args:
        run_dir: What it serves.

    Attributes:
        url: Where it answers; changes with each start.
    """

    def __init__(self, run_dir: Path) -> None:
        self.url = "http://127.0.0.1:9"
        self._run_dir = run_dir.resolve()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and return when it says that it is ready.

        Raises:
            RuntimeError: It ended instead; the message is the end of its log.
        """
        command = [*_vizsla(), "serve", str(self._run_dir), "--embedded", "--port", "0"]
        log_file = self._run_dir / "server.log"
        with log_file.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command, cwd=self._run_dir, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = re.match(r"ready on (\S+)", line)
            if found:
                self.url = found[1]
                return
        raise RuntimeError(f"the server did not start: {log_file.read_text('utf-8')[-1000:]}")

    def kill(self) -> None:
        """Kill it as a crash would: no signal handler runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def rss_mib(self) -> float:
        """Return its resident memory, without pages of files, in MiB."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def run_command(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a ``vizsla`` command to its end."""
    return subprocess.run([*_vizsla(), *words], capture_output=True, text=True, check=False)


def _vizsla() -> list[str]:
    return [sys.executable, "-m", "vizsla"]
