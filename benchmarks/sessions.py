"""Memory of the demo with many visitors: starts it as Community Cloud does and opens sessions over real WebSockets.

    python benchmarks/sessions.py [SESSIONS]

Each session opens the overview of the tour, with the samples and their tests, then the history page with its charts.
Prints the resident memory of the server before, after each five sessions, and when all tests are through. Ends with 1
where it was more than 600 MB.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = Path(__file__).parents[1]
MOST_MB = 600


def resident(pid: int) -> tuple[float, float]:
    """Megabytes now, and the most there ever were."""
    status = Path(f"/proc/{pid}/status").read_text()
    now, peak = (int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1000 for name in ("VmRSS", "VmHWM"))
    return now, peak


class Visitor:
    """A session whose browser takes all that it is sent."""

    def __init__(self, port: int) -> None:
        self._line = connect(f"ws://127.0.0.1:{port}/_stcore/stream", max_size=None)
        self._drawn = threading.Semaphore(0)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for message in self._line:
                heard = ForwardMsg()
                heard.ParseFromString(bytes(message))
                if heard.HasField("script_finished") and heard.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    self._drawn.release()

    def open(self, page: str) -> None:
        """Opens a page and waits until it is drawn."""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = page, "lang=en"
        self._line.send(message.SerializeToString())
        self._drawn.acquire(timeout=120)


def until_idle(pid: int) -> None:
    """Until it has computed nearly nothing for five seconds in a row; for two minutes at most."""
    ticks, idle = os.sysconf("SC_CLK_TCK"), 0
    before = worked = 0
    for _ in range(120):
        time.sleep(1)
        before, worked = worked, sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        idle = idle + 1 if worked - before < ticks * 0.1 else 0
        if idle == 5:
            return


def main(sessions: int) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BFAI_")}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}", "--logger.level=error"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    visitors: list[Visitor] = []
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        print(f"started            {resident(server.pid)[0]:6.0f} MB", flush=True)
        for number in range(1, sessions + 1):
            visitor = Visitor(port)
            visitors.append(visitor)
            for page in ("", "history"):
                visitor.open(page)
            if number % 5 == 0 or number == 1:
                print(f"{number:3} sessions       {resident(server.pid)[0]:6.0f} MB", flush=True)
        until_idle(server.pid)  # the tests of the last ones
        for visitor in visitors:
            visitor.open("history")
        now, peak = resident(server.pid)
        print(f"all tests through  {now:6.0f} MB, at most {peak:.0f} MB")
        return int(peak > MOST_MB)
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
