"""BackFuture AI Workbench: is this API key safe for a bot, and does the connection work?

`Workbench` is the one object to start with:

    with bfai.Workbench.local() as workbench:
        workbench.unlock(password)
        run = workbench.start_test(workbench.find("MEXC Spot Main").id).wait()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bfai.model import Connection, Credentials, KeyReport, Market, Permission, Status, Target, TestRun

if TYPE_CHECKING:
    from bfai.workbench import Workbench

__all__ = ["Connection", "Credentials", "KeyReport", "Market", "Permission", "Status", "Target", "TestRun", "Workbench"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Workbench` is imported when it is first asked for: a script that needs the nouns only starts at once."""
    if name == "Workbench":
        from bfai.workbench import Workbench

        return Workbench
    raise AttributeError(name)
