"""What a notebook shows of a key report and of a workbench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from bfai.model import Evidence, Grant, GrantState, IpRestriction, KeyReport, Permission
from bfai.simulator import Simulator
from bfai.transport import Gateway
from bfai.workbench import Mode, Workbench
from tests.helpers import sample

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "connection_history.ipynb"


def test_a_key_report_is_a_table_with_withdrawal_first_and_nothing_runs_in_it() -> None:
    report = KeyReport(
        grants={
            Permission.READ: Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED, words=("<script>",)),
            Permission.WITHDRAW: Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED),
        },
        ip_restriction=IpRestriction(state=GrantState.GRANTED, addresses=("203.0.113.7",), masked=("10.*",)),
    )
    shown: Any = report._repr_html_()
    assert shown.index("<td>withdraw</td><td>denied</td>") < shown.index("<td>read</td><td>granted</td>")
    assert "&lt;script&gt;" in shown and "<script>" not in shown
    assert "203.0.113.7, 10.*" in shown


def test_a_workbench_shows_its_connections_and_no_more_of_a_key_than_a_page(
    simulator: Simulator, gateway: Gateway
) -> None:
    with Workbench.tour() as workbench:
        assert workbench.mode is Mode.DEMO
        for job in workbench.add_samples():
            job.wait(30)
        shown: Any = workbench._repr_html_()
        assert shown.count("<tr>") == 1 + len(workbench.connections())
        key = sample(simulator, "mexc", "good").api_key
        assert key not in shown and "MEXC" in shown and "blocked" in shown


@pytest.mark.slow
def test_the_notebook_runs_from_beginning_to_end() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "it is kept without what it printed"
    NotebookClient(book, timeout=110, resources={"metadata": {"path": str(NOTEBOOK.parent.parent)}}).execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", ())]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert "text/html" in kinds
    assert "image/svg+xml" in kinds, "charts are pictures, and fetch nothing from elsewhere"
    assert not [output for output in shown if output.output_type == "error" or output.get("name") == "stderr"]
