"""The monitor and the alerts on times that a test can wait for.

`python tests/short_times.py SECONDS MODULE ARGUMENT…` is `python -m MODULE ARGUMENT…` where a lease and a claim end
after so many seconds, and an exchange that is down is left alone for one.
"""

from __future__ import annotations

import runpy
import sys
from datetime import timedelta
from typing import Any

import bfai.alerts
import bfai.monitor
import bfai.worker


def shorten(seconds: float) -> None:
    monitor: Any = bfai.monitor
    alerts: Any = bfai.alerts
    monitor.LEASE = alerts.CLAIM_HOLDS = timedelta(seconds=seconds)
    monitor.FIRST_PAUSE = monitor.LONGEST_PAUSE = timedelta(seconds=1)
    monitor.FIRST_OFFLINE = monitor.LONGEST_OFFLINE = timedelta(seconds=1)
    worker: Any = bfai.worker
    worker.HEARTBEAT_SECONDS, worker.DEAD_AFTER_SECONDS, worker.TICK_SECONDS = seconds / 8, seconds / 2, 0.2
    alerts.PAUSES = (timedelta(seconds=1),) * len(alerts.PAUSES)


if __name__ == "__main__":
    shorten(float(sys.argv[1]))
    del sys.argv[:2], sys.path[0]  # neither this file nor the tests beside it are there for the module
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
