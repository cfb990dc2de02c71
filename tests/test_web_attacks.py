"""What somebody tries who speaks to the app without a browser: against the running app, over real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bfai.hosting import owner_of
from bfai.simulator import Simulator
from bfai.strategy.parameters import Parameters
from bfai.workbench import Workbench
from tests.browser.conftest import LOOPBACK, ROOT, Server
from tests.oidc import COOKIE_SECRET, Provider
from tests.postgres import Server as Database

PASSWORD = "correct horse battery staple"
PAGES = ("", "connections", "history", "strategies", "alerts", "guide", "settings")
WELCOME, LOCKED, OPEN, MINE = "Sign in", "The vault is locked", "Vault open", "Plan of alice"
XSRF = "2|00000000|0123456789abcdef0123456789abcdef|1700000000"


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator
        assert not simulator.violations


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def home(simulated: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app as `run.py` starts it."""
    folder = tmp_path_factory.mktemp("home")
    settings = {"BFAI_DATABASE_URL": f"sqlite:///{folder}/bfai.db", "BFAI_GATEWAY": simulated.gateway}
    settings |= {"BFAI_GATEWAY_CA": str(simulated.ca_file)}
    hosts = ("--server.allowedHosts", "localhost", "--server.allowedHosts", "127.0.0.1")
    server = Server(settings, *LOOPBACK, *hosts, log=folder / "log")
    yield server
    server.stop()
    assert "Traceback" not in server.text()


@pytest.fixture
def hosted(
    postgres_url: str, provider: Provider, simulated: Simulator, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """Starts the app as on a server, with a vault of Alice's in which there is a strategy."""
    started: list[Server] = []

    def start(**environment: str) -> Server:
        secrets = provider.secrets(tmp_path / "secrets.toml", more=f'BFAI_DATABASE_URL = "{postgres_url}"')
        settings = {"BFAI_GATEWAY": simulated.gateway, "BFAI_GATEWAY_CA": str(simulated.ca_file), **environment}
        server = Server(settings, "--secrets.files", str(secrets), log=tmp_path / "log")
        started.append(server)
        return server

    with Workbench.hosted(postgres_url, owner_of(provider.issuer, "alice")) as workbench:
        workbench.create_vault(PASSWORD)
        plan = Parameters.model_validate({"pairs": ["BTC/USDT"], "first_entry_size": "10"})
        workbench.strategies.create(MINE, None, plan)
    yield start
    for server in started:
        server.stop()
        assert "Traceback" not in server.text(), server.text()


class Visit:
    """One WebSocket, as the browser's. `frames` are what it sent, `told` all that it heard, `session` its number."""

    def __init__(
        self,
        server: Server,
        cookies: str = "",
        *,
        origin: str | None = "",
        host: str | None = None,
        xsrf: str = XSRF,
        session: str | None = None,
    ) -> None:
        at = urlsplit(server.address)
        self.frames: list[bytes] = []
        self.told, self.session = "", ""
        headers = {"Cookie": "; ".join(filter(None, (f"_streamlit_xsrf={XSRF}", cookies)))}
        self._raw = socket.create_connection((str(at.hostname), int(at.port or 0)))
        self._socket = connect(
            f"ws://{host or at.hostname}:{at.port}/_stcore/stream",
            sock=self._raw,
            origin=(server.address if origin == "" else origin),  # pyright: ignore[reportArgumentType]
            additional_headers=headers,
            subprotocols=["streamlit", xsrf, *([session] if session else [])],  # pyright: ignore[reportArgumentType]
            compression=None,
            max_size=None,
        )

    def close(self) -> None:
        """Without a word, as a line breaks."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)
        self._raw.close()

    def say(self, frame: bytes) -> str:
        """Sends a frame and gives all that comes until the page is drawn."""
        self.frames.append(frame)
        heard = ""
        try:
            self._socket.send(frame)
            while True:
                message = ForwardMsg()
                heard_now = self._socket.recv(20)
                assert isinstance(heard_now, bytes)
                message.ParseFromString(heard_now)
                heard += str(message)
                if message.HasField("new_session"):
                    self.session = message.new_session.initialize.session_id
                if message.HasField("script_finished") and message.script_finished in (0, 2):
                    break
        except ConnectionClosed:
            heard += "(closed)"
        self.told += heard
        return heard

    def page(self, name: str = "", query: str = "lang=en", part: str = "", **widgets: str | bool) -> str:
        """Opens a page, or draws a part of it, having typed and clicked this: each widget by its key, as it was drawn
        last.
        """
        message = BackMsg()
        asked = message.rerun_script
        asked.page_name, asked.query_string, asked.fragment_id = name, query, part
        for key, value in widgets.items():
            state: WidgetState = asked.widget_states.widgets.add()
            state.id = re.findall(rf"\$\$ID-[0-9a-f]+-{key}\b", self.told)[-1]
            if isinstance(value, bool):
                state.trigger_value = value
            else:
                state.string_value = value
        return self.say(message.SerializeToString())

    def unlock(self) -> str:
        self.page()
        return self.page(master_password=PASSWORD, unlock_button=True)


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    made: list[Visit] = []

    def start(*given: Any, **more: Any) -> Visit:
        made.append(Visit(*given, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def cookie(provider: Provider) -> Callable[..., str]:
    """The cookie that proves who somebody is, as Streamlit signs it."""

    def make(server: Server, person: str, *, secret: str = COOKIE_SECRET, ago: float = 0.0, **changes: Any) -> str:
        claims = {"iss": provider.issuer, "sub": person, "iat": time.time() - ago, "email": f"{person}@example.com"}
        claims |= {"origin": server.address, "is_logged_in": True, "provider": "default"} | changes
        return "_streamlit_user=" + create_signed_value(secret, "_streamlit_user", json.dumps(claims)).decode()

    return make


def ask(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    at = urlsplit(server.address)
    line = http.client.HTTPConnection(str(at.hostname), at.port, timeout=20)
    try:
        line.request(method, path, body or None, headers)
        answer = line.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        line.close()


# -- who is let in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"origin": "https://evil.example"},
        {"host": "rebound.example", "origin": "http://rebound.example"},
        {"host": "rebound.example"},
        {"host": "rebound.example", "origin": None},
    ],
)
def test_at_home_a_foreign_page_and_a_foreign_name_are_refused(
    home: Server, visit: Callable[..., Visit], given: dict[str, Any]
) -> None:
    if "origin" in given and given["origin"] and "rebound" in given["origin"]:
        given = {**given, "origin": f"{given['origin']}:{urlsplit(home.address).port}"}
    with pytest.raises(InvalidStatus) as refused:
        visit(home, **given)
    assert refused.value.response.status_code == 403
    assert "Is this API key safe" in visit(home).page(), "and the app's own page is let in"


def test_hosted_a_cookie_counts_only_for_the_apps_own_page(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str]
) -> None:
    server = hosted()
    alice = cookie(server, "alice")
    assert LOCKED in visit(server, alice).page(), "she is let in as far as the lock"

    with pytest.raises(InvalidStatus) as refused:
        visit(server, alice, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    port = urlsplit(server.address).port
    nobody: list[tuple[str, dict[str, Any]]] = [
        (alice, {"origin": None}),
        (alice, {"origin": "http://localhost:9999"}),
        (alice, {"host": "rebound.example", "origin": f"http://rebound.example:{port}"}),
        (alice, {"xsrf": "2|00000000|ffffffffffffffffffffffffffffffff|1700000000"}),
        (cookie(server, "alice", secret="guessed-" * 5), {}),
        (cookie(server, "alice", origin="https://other.example"), {}),
        (alice[:-2], {}),
        ("", {}),
        (cookie(server, "alice", ago=13 * 3600), {}),
        (cookie(server, "alice", ago=-3600), {}),
        (cookie(server, "alice", iss=None), {}),
    ]
    for cookies, given in nobody:
        said = visit(server, cookies, **given).page()
        assert WELCOME in said and LOCKED not in said, given


def test_a_cold_deep_link_shows_nothing_to_who_is_not_signed_in(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str]
) -> None:
    server = hosted()
    for page in PAGES:  # the very first thing that this server is asked for
        said = visit(server).page(page)
        assert WELCOME in said and LOCKED not in said, page
    alice, bob = cookie(server, "alice"), cookie(server, "bob")
    for page in PAGES:
        said = visit(server, alice).page(page)
        assert LOCKED in said and MINE not in said, page
    assert LOCKED not in visit(server, bob).page("strategies"), "nobody learns that somebody else has a vault"


# -- after logging out -------------------------------------------------------------------------------------------------


def test_what_was_recorded_is_worth_nothing_after_logging_out(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str]
) -> None:
    """Cookie, session and every frame of a visit, the master password among them."""
    server = hosted()
    stolen = cookie(server, "alice", ago=60)
    alice = visit(server, stolen)
    assert OPEN in alice.unlock()
    assert MINE in alice.page("strategies")
    recorded, session = list(alice.frames), alice.session
    other = visit(server, stolen)
    assert OPEN in other.unlock(), "until then they are worth what she is worth"

    alice.page("strategies")
    assert "auth/logout" in alice.page("strategies", log_out=True)
    for line in (alice, other, visit(server, stolen), visit(server, stolen, session=session)):
        for frame in recorded:
            said = line.say(frame)
            assert WELCOME in said and OPEN not in said and MINE not in said and LOCKED not in said
    again = visit(server, cookie(server, "alice", ago=-1))
    assert LOCKED in again.page() and OPEN in again.page(master_password=PASSWORD, unlock_button=True)


def test_a_visit_that_was_ended_elsewhere_acts_no_more(
    hosted: Callable[..., Server],
    visit: Callable[..., Visit],
    cookie: Callable[..., str],
    postgres_url: str,
    provider: Provider,
) -> None:
    """By frames for the whole page, and by such for a part of it, which Streamlit draws without its beginning."""
    server = hosted()
    mine = cookie(server, "alice", ago=60)
    alice, other = visit(server, mine), visit(server, mine)
    assert OPEN in alice.unlock() and OPEN in other.unlock()
    other.page("settings")
    parts = set(re.findall(r'fragment_id: "([0-9a-f]+)"', other.page("settings", delete_everything=True)))
    assert parts
    assert "auth/logout" in alice.page("strategies", log_out=True)
    for part in sorted(parts):
        said = other.page("settings", part=part, make_backup=True)
        assert MINE not in said
    assert WELCOME in other.page("settings", make_backup=True)
    with Workbench.hosted(postgres_url, owner_of(provider.issuer, "alice")) as workbench:
        assert workbench.audit_entries(1)[0].action == "signed_out"


def test_who_cannot_be_logged_out_everywhere_hears_it(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str], postgres: Database
) -> None:
    """Somebody holds the owner's row, as a long restore does."""
    server = hosted()
    mine = cookie(server, "alice", ago=60)
    alice, other = visit(server, mine), visit(server, mine)
    assert OPEN in alice.unlock() and OPEN in other.unlock()
    alice.page("strategies")
    with postgres.admin("shared") as god, god.transaction():
        god.execute("SELECT 1 FROM bfai.owner FOR UPDATE")
        said = alice.page("strategies", log_out=True)
        assert "auth/logout" not in said and "You are not logged out" in said and OPEN not in said
    assert "Log out in this browser alone" in said
    assert OPEN in other.page("strategies")
    assert "auth/logout" in alice.page("strategies", log_out=True)
    assert WELCOME in other.page("strategies")


def test_a_session_is_no_use_to_anybody_else(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str]
) -> None:
    """Its number alone would give the page with an open vault to who knows it."""
    server = hosted()
    alice = visit(server, cookie(server, "alice"))
    assert OPEN in alice.unlock()
    for cookies in (cookie(server, "bob"), ""):
        thief = visit(server, cookies, session=alice.session)
        said = thief.page("strategies")
        assert thief.session != alice.session
        assert OPEN not in said and MINE not in said
    assert MINE in alice.page("strategies"), "and she is not disturbed"


def test_a_reload_and_a_broken_line_lock(
    hosted: Callable[..., Server], visit: Callable[..., Visit], cookie: Callable[..., str]
) -> None:
    server = hosted()
    alice = visit(server, cookie(server, "alice"))
    assert OPEN in alice.unlock()
    alice.close()
    assert LOCKED in visit(server, cookie(server, "alice")).page()
    assert LOCKED in visit(server, cookie(server, "alice"), session=alice.session).page()


# -- files -------------------------------------------------------------------------------------------------------------


def test_an_upload_is_refused_that_is_too_large_foreign_or_nobodys(home: Server, visit: Callable[..., Visit]) -> None:
    line = visit(home)
    line.page()
    edge = uuid.uuid4().hex

    def put(size: int, session: str, *, token: str = XSRF, length: bool = True) -> int:
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n'.encode()
        body = head + b"x" * size + f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Cookie": f"_streamlit_xsrf={XSRF}"}
        headers |= {"X-Xsrftoken": token} if token else {}
        path = f"/_stcore/upload_file/{session}/{uuid.uuid4().hex}"
        if length:
            return ask(home, "PUT", path, body, **headers)[0]
        at = urlsplit(home.address)
        plain = http.client.HTTPConnection(str(at.hostname), at.port, timeout=20)
        try:
            plain.request("PUT", path, iter([body]), headers, encode_chunked=True)
            return plain.getresponse().status
        finally:
            plain.close()

    assert put(1000, line.session) == 204
    assert put(6 * 1024 * 1024, line.session) == 204, "a backup of many tests"
    assert put(25 * 1024 * 1024 + 1, line.session) == 413
    assert put(27 * 1024 * 1024, line.session, length=False) == 413, "nor where it does not say its size"
    assert put(1000, line.session, token="") == 403
    assert put(1000, line.session, token="2|00000000|ff|1") == 403
    assert put(1000, uuid.uuid4().hex) == 400


def test_nothing_else_of_the_server_is_served(home: Server) -> None:
    for path in (
        "/app/static/../app.py",
        "/media/../../app.py",
        "/component/x/../../app.py",
        "/.streamlit/secrets.toml",
    ):
        status, said, _ = ask(home, "GET", path)
        assert b"open_page" not in said and b"cookie_secret" not in said, (path, status)
    assert ask(home, "POST", "/_stcore/agent/sessions", b"{}")[0] in (404, 405)
    status, said, _ = ask(home, "GET", "/_stcore/metrics")
    assert status == 200 and b"user" not in said.lower()


# -- without any setting -----------------------------------------------------------------------------------------------


def test_without_any_setting_it_is_the_demo_and_keeps_nothing(visit: Callable[..., Visit], tmp_path: Path) -> None:
    """As Community Cloud starts it: on every address."""
    kept = ROOT / "data"
    before = {file: file.stat().st_mtime_ns for file in kept.rglob("*")}
    server = Server({"BFAI_DATABASE_URL": "", "BFAI_ALLOW_NON_LOOPBACK": ""}, log=tmp_path / "log")
    try:
        line = visit(server)
        assert "Never type a real key here" in line.page()
        assert "Everything is in memory, and gone when you leave." in line.page("settings")
        for text in ("log_out", "sign_in_0", "master_password"):
            assert text not in line.told
    finally:
        server.stop()
    assert {file: file.stat().st_mtime_ns for file in kept.rglob("*")} == before
    assert "Traceback" not in server.text()
