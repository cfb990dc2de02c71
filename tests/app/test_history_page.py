"""The history half of Tests & history, without a browser: which figures it shows for which time, and where it leads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from bfai.i18n import LANGUAGES
from bfai.model import (
    CheckName,
    Connection,
    Credentials,
    Environment,
    Evidence,
    Grant,
    GrantState,
    KeyReport,
    Permission,
    Target,
    utc_now,
)
from bfai.store import Store, open_store
from bfai.ui.history_view import bucket_count, no_list, rounded_up
from bfai.vault import Vault
from tests.app.conftest import PASSWORD, captions, choose, go, open_app, press, problems, texts
from tests.history_store import a_run

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATENCIES = {CheckName.REACH: 80.0, CheckName.KEY: 180.0, CheckName.CLOCK: 80.0}
SAFE = KeyReport(grants={Permission.WITHDRAW: Grant(state=GrantState.DENIED, evidence=Evidence.DECLARED)})
UNSAFE = KeyReport(grants={Permission.WITHDRAW: Grant(state=GrantState.GRANTED, evidence=Evidence.DECLARED)})


@dataclass
class Past:
    """A vault on disk with connections whose past was made up. Every test ends half an hour ago at the latest."""

    store: Store
    vault: Vault
    now: datetime

    def connection(self, name: str, exchange: str = "mexc") -> str:
        identity = name.lower().replace(" ", "-")
        credentials = Credentials(f"mx0history{identity}", "secret of a test", "passphrase")
        connection = Connection(
            id=identity,
            name=name,
            target=Target(exchange=exchange, environment=Environment.SIMULATOR),
            key_hint=credentials.hint,
            created_at=self.now - 400 * DAY,
            key_since=self.now - 400 * DAY,
        )
        self.store.add_connection(
            connection, self.vault.seal(identity, credentials), self.vault.fingerprint(exchange, credentials.api_key)
        )
        self.store.set_schedule(identity, None, self.now, self.now)  # nothing is tested while we look
        return identity

    def tests(self, connection_id: str, *says: str, every: timedelta = HOUR, report: KeyReport | None = None) -> None:
        """Tests in equal distances, the last of them half a distance ago."""
        for number, word in enumerate(says):
            at = self.now - every * (len(says) - number - 0.5)
            latencies = LATENCIES if word in ("online", "connected", "blocked") else {CheckName.REACH: 90.0}
            self.store.add_run(
                a_run(connection_id, at, word, latencies, report=report if latencies is LATENCIES else None)
            )


@pytest.fixture
def past(tmp_path: Path) -> Past:
    store = open_store(f"sqlite:///{tmp_path}/bfai.db")
    return Past(store, Vault.create(store, PASSWORD), utc_now())


def opened(language: str = "en", **params: str) -> AppTest:
    """The page, the vault open, at this address."""
    at = open_app(language)
    at.text_input(key="master_password").set_value(PASSWORD)
    press(at, "unlock_button")
    at.query_params.update({"view": "history", **params})
    go(at, "pages/history.py")
    assert not problems(at)
    return at


def metrics(at: AppTest) -> dict[str, str]:
    return {item.label: str(item.value).replace("\u00a0", " ") for item in at.metric}


def spec(at: AppTest, number: int = 0) -> dict[str, Any]:
    return json.loads(at.get("echarts_chart")[number].proto.spec)


def alts(at: AppTest) -> list[str]:
    found = [image.alt for item in at.get("image") for image in item.proto.imgs]
    return [text for text in (*found, *(item.proto.alt for item in at.get("echarts_chart"))) if text]


def open_tab(at: AppTest, label: str) -> AppTest:
    at.session_state["details"] = label
    return at.run()


def param(at: AppTest, name: str) -> str | None:
    value = at.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def test_without_a_test_it_says_so(past: Past) -> None:
    past.connection("Quiet")
    at = opened(connection="quiet")
    assert "No test yet. The history begins with the first one." in captions(at)
    assert not at.metric


def test_one_test_is_enough_to_draw(past: Past) -> None:
    one = past.connection("Single")
    past.tests(one, "online")
    at = opened(connection=one)
    assert metrics(at)["Share of time online"] == "100%"
    assert metrics(at)["Outages"] == "0"
    assert metrics(at)["Time to recover"] == "–"
    assert any("One test is no line yet" in text for text in captions(at))
    assert any("first test" in text for text in captions(at))


def test_the_figures_of_a_day_with_an_outage(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 12, "failed", "failed", *["online"] * 10)
    at = opened(connection=one, range="24h")
    assert metrics(at) == {
        "Share of time online": "91.4%",  # 21.5 of 23.5 hours
        "Outages": "1",
        "Time to recover": "2 h",
        "Response time, ms": "180",
    }
    assert "2 of 24 tests failed" in captions(at)
    assert "the longest outage took 2\u00a0h" in captions(at)
    chart = spec(at)
    assert sum(point[2] for point in chart["series"][3]["data"]) == 2
    assert chart["xAxis"]["max"] - chart["xAxis"]["min"] == 24 * 3600 * 1000


def test_our_own_network_is_no_failure(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "network", "online")
    at = opened(connection=one, range="24h")
    assert metrics(at)["Outages"] == "0"
    assert any("1\u00a0h of it by your own network" in text for text in captions(at))
    open_tab(at, "Causes")
    assert "Nothing failed in this time." in captions(at)


def test_silence_is_unknown_and_drawn_as_such(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "online", every=3 * DAY)
    at = opened(connection=one, range="7d")
    assert any(text.startswith("unknown ") for text in captions(at))
    assert any("no test, the last result holds" in text for text in alts(at))
    assert "no test" in captions(at)


@pytest.mark.parametrize("name", ["24h", "7d", "30d", "90d", "1y", "all"])
def test_every_range_of_the_address_is_shown(past: Past, name: str) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 3)
    at = opened(connection=one, range=name)
    chosen = next(item for item in at.get("segmented_control") if str(item.key).startswith("range"))
    assert cast("Any", chosen).value == name
    assert len(at.metric) == 4


def test_a_range_of_ones_own_comes_from_the_address_and_survives(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 20, *["failed"] * 4)
    since, until = past.now - 30 * HOUR, past.now - 4 * HOUR
    at = opened(connection=one, **{"from": f"{since:%Y-%m-%dT%H:%MZ}", "to": f"{until:%Y-%m-%dT%H:%MZ}"})
    assert metrics(at)["Outages"] == "0"
    at.run()
    assert param(at, "from") == f"{since:%Y-%m-%dT%H:%MZ}"
    choose(at, "range", "24h")
    assert metrics(at)["Outages"] == "1"
    assert (param(at, "range"), param(at, "from"), param(at, "to")) == ("24h", None, None)


def test_a_range_can_be_typed_in_the_readers_zone(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 30)
    at = opened(connection=one)
    boxes = cast("Any", at.get("datetime_input"))
    since = (past.now - 20 * HOUR).replace(second=0, microsecond=0, tzinfo=None)
    boxes[0].set_value(since)
    boxes[1].set_value(since + 10 * HOUR)
    next(item for item in at.button if item.label == "Show").click().run()
    assert not problems(at)
    assert param(at, "from") == f"{since:%Y-%m-%dT%H:%MZ}"  # the test bench has no zone: UTC
    assert param(at, "to") == f"{since + 10 * HOUR:%Y-%m-%dT%H:%MZ}"
    assert any("10 tests" in text for text in captions(at))


def test_zooming_asks_again_and_stands_in_the_address(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["failed"] * 6, *["online"] * 90)
    at = opened(connection=one, range="7d")
    assert metrics(at)["Outages"] == "1"
    press(at, "zoom_closer")  # the newest three and a half days
    assert metrics(at)["Outages"] == "0"
    assert param(at, "range") is None
    assert param(at, "from") is not None
    assert at.button(key="zoom_later").disabled
    press(at, "zoom_wider")
    assert metrics(at)["Outages"] == "1"
    press(at, "zoom_earlier")
    assert param(at, "to") is not None
    assert not at.button(key="zoom_later").disabled


def test_a_right_to_withdraw_that_appears_comes_first_and_bold(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "online", every=2 * HOUR, report=SAFE)
    past.store.add_run(a_run(one, past.now - HOUR / 2, "blocked", LATENCIES, report=UNSAFE))
    at = opened(connection=one, range="24h")
    table = next(item.value for item in at.table if "What" in item.value.columns)
    assert "**Withdraw: off before, on now.**" in table["What"].to_list()
    assert "1 change lets a thief do more, or the bot less." in captions(at)


def test_nothing_that_changed_is_said(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "online", report=SAFE)
    assert any("Nothing in this time" in text for text in captions(opened(connection=one)))


def test_causes_are_stacked_and_patterned(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "failed", "key", "key", "online")
    at = open_tab(opened(connection=one), "Causes")
    bars = spec(at, 1)
    assert [series["name"] for series in bars["series"]] == ["Invalid key", "Exchange unavailable"]
    assert sum(value or 0 for value in bars["series"][0]["data"]) == 2


def test_the_calendar_has_a_square_a_day_and_leads_into_a_month(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 30, *["failed"] * 4, *["online"] * 6, every=DAY)
    at = open_tab(opened(connection=one, range="90d"), "Calendar")
    months = [text for text in alts(at) if " days: " in text or " day: " in text]
    assert len(months) >= 2
    assert "50% and more" not in texts(at) or "less" in texts(at)
    button = next(item for item in at.button if str(item.key).startswith("month_"))
    button.click().run()
    assert param(at, "from") is not None
    assert param(at, "range") is None


def test_outages_and_checks_and_more_are_drawn(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "failed", "online", "failed", every=HOUR, report=SAFE)
    at = open_tab(opened(connection=one), "Outages")
    frame = at.dataframe[0].value
    assert frame["Lasted"].to_list()[1] == "1\u00a0h"
    assert "goes on" in frame["Lasted"].to_list()[0]
    open_tab(at, "Checks")
    assert any(text == "Key: median 180 ms" for text in alts(at))
    open_tab(at, "More")
    assert not problems(at)
    assert "No expiry date was told in this time." in captions(at)


def test_all_connections_are_compared_and_one_exchange_is_kept_apart(past: Past) -> None:
    first, second, third = past.connection("Alpha"), past.connection("Beta"), past.connection("Gamma", "kucoin")
    past.tests(first, *["online"] * 4)
    past.tests(second, "online", "failed", "online", "online")
    past.tests(third, *["failed"] * 4)
    at = opened(connection="all", range="24h")
    compared = at.dataframe[0].value
    assert compared["Name"].to_list() == ["Gamma", "Beta", "Alpha"]
    assert compared["Online"].to_list()[0] == 0
    assert compared["Online"].to_list()[2] == 1
    assert all(uri.startswith("data:image/svg+xml;base64,") for uri in compared["Timeline"])
    assert at.dataframe[1].value.shape[0] == 10
    open_tab(at, "Checks")
    checks = next(item.value for item in at.table if "Median, ms" in item.value.columns)
    assert checks.set_index("Check").loc["Key", "Median, ms"] == "180"
    choose(at, "connection", "exchange:mexc")
    assert at.dataframe[0].value["Name"].to_list() == ["Beta", "Alpha"]
    listed = at.dataframe[1].value
    assert set(listed["Name"]) == {"Alpha", "Beta"}
    assert listed.shape[0] == 8
    assert param(at, "connection") == "exchange:mexc"


def test_the_list_of_all_can_be_filtered(past: Past) -> None:
    first, second = past.connection("Alpha"), past.connection("Beta")
    past.tests(first, "online", "failed")
    past.tests(second, "key", "online")
    at = opened(connection="all", range="24h")
    at.multiselect(key="filter_status").set_value(["failed"]).run()
    assert set(at.dataframe[1].value["Status"]) == {"Failed"}
    at.selectbox(key="filter_connection_None").set_value(second).run()
    assert at.dataframe[1].value["Cause"].to_list() == ["Invalid key"]


def test_pages_of_the_list_follow_each_other(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, *["online"] * 23)
    at = opened(connection=one, range="24h")
    assert "1 to 10 of 23. Tick a line to open the test." in captions(at)
    pages = next(iter(at.get("pagination")))
    cast("Any", pages).set_value(3).run()
    assert "21 to 23 of 23. Tick a line to open the test." in captions(at)


def test_three_exports_are_offered(past: Past) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "failed")
    at = opened(connection=one)
    assert [item.proto.label for item in at.get("download_button")] == ["CSV", "JSON", "Parquet"]


@pytest.mark.parametrize("language", list(LANGUAGES)[1:])
def test_it_speaks_the_readers_language(past: Past, language: str) -> None:
    one = past.connection("Main")
    past.tests(one, "online", "failed", "online", report=SAFE)
    at = opened(language, connection=one)
    assert "Share of time online" not in metrics(at)
    assert not any("bars" in text for text in alts(at))


def test_a_date_is_no_number_of_a_list() -> None:
    assert no_list("22. lis 2026. 17:09 do sada") == "22\\. lis 2026. 17:09 do sada"
    assert no_list("22 Oct 2026, 17:09 to now") == "22 Oct 2026, 17:09 to now"


@pytest.mark.parametrize(("runs", "buckets"), [(1, 60), (2000, 100), (10**6, 1000)])
def test_buckets_are_as_many_as_a_screen_can_show(runs: int, buckets: int) -> None:
    assert bucket_count(runs) == buckets


@pytest.mark.parametrize(("value", "rounded"), [(0.4, 1), (7, 7), (751, 760), (1204, 1300)])
def test_a_scale_ends_at_a_round_number(value: float, rounded: float) -> None:
    assert rounded_up(value) == rounded


def test_times_are_in_the_readers_zone(past: Past) -> None:
    one = past.connection("Main")
    at_utc = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    past.store.add_run(a_run(one, at_utc, "online", LATENCIES))
    at = AppTest.from_file("../../app.py", default_timeout=30)
    at.context = {"timezone": "Europe/Zagreb", "locale": "en-GB"}
    at.run()
    at.text_input(key="master_password").set_value(PASSWORD)
    press(at, "unlock_button")
    at.query_params.update({"view": "history", "connection": one, "range": "all"})
    go(at, "pages/history.py")
    assert at.dataframe[0].value.iloc[0, 0] == "21 Nov 2026, 00:30"
