"""The simulator itself: TLS, hosts, faults, clock, violations, control server, and that it tells no secret."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from http.client import HTTPException, IncompleteRead
from pathlib import Path

import pytest
from simulator_client import Answer, Client

import bfai.simulator
from bfai.simulator import Simulator, discover

TIME = "/api/v3/time"


def mexc_time(client: Client) -> Answer:
    return client.call("GET", "api.mexc.com", TIME)


# -- listening


def test_certificate_covers_every_host_and_no_other(client: Client) -> None:
    for host, exchange in client.sim.hosts.items():
        assert client.call("GET", host, "/").status == 404, exchange
    with pytest.raises(ssl.SSLCertVerificationError):
        client.call("GET", "example.org", "/")


def test_only_loopback_is_bound(sim: Simulator) -> None:
    assert sim.gateway.startswith("127.0.0.1:")
    assert sim.control.startswith("http://127.0.0.1:")


def test_unknown_host_is_misdirected(client: Client) -> None:
    answer = client.call("GET", "api.mexc.com", TIME, {"Host": "api.example.org"})
    assert answer.status == 421
    assert client.sim.seen[-1]["exchange"] is None


def test_a_new_exchange_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.py").write_text(
        "from bfai.simulator.core import Account, Exchange, as_json, route\n"
        "class Toy(Exchange):\n"
        "    name, hosts = 'toy', {'api.toy.example': 'spot'}\n"
        "    def sample_accounts(self): return [Account('good', 'toy-key', 'toy-secret', 'word')]\n"
        "    def key_of(self, call): return call.headers.get('Key', '')\n"
        "    def verify(self, call, route): return None if call.account else as_json({'no': 1}, 401)\n"
        "    not_found = refuse_write = rate_limited = maintenance = lambda self, call: as_json({'no': 2}, 404)\n"
        "    @route('GET', '/me', private=True)\n"
        "    def me(self, call): return as_json({'name': call.who.name})\n"
        "    @route('POST', '/buy')\n"
        "    def buy(self, call): return as_json({'bought': 1})\n"
        "EXCHANGE = Toy\n"
    )
    monkeypatch.setattr(bfai.simulator, "__path__", [*bfai.simulator.__path__, str(tmp_path)])
    try:
        assert "toy" in [kind.name for kind in discover()]
        with Simulator() as sim:
            client = Client(sim)
            assert sim.accounts["toy"]["good"]["password"] == "word"
            assert client.call("GET", "api.toy.example", "/me", {"Key": "toy-key"}).json == {"name": "good"}
            assert client.call("GET", "api.toy.example", "/me").status == 401
            client.call("DELETE", "api.toy.example", "/me")
            assert client.call("POST", "api.toy.example", "/buy").status == 404, "declared, but no dry run"
            assert len(sim.violations) == 2
    finally:
        sys.modules.pop("bfai.simulator.toy", None)


def test_starts_and_stops_again(tmp_path: Path) -> None:
    sim = Simulator(ca=tmp_path / "ca.pem")
    for _ in range(2):
        with sim:
            assert Client(sim).call("GET", "api.mexc.com", TIME).status == 200
    assert len(sim.seen) == 2
    with pytest.raises(ConnectionError), socket.create_connection(("127.0.0.1", int(sim.gateway.split(":")[1])), 1):
        pass


def test_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match=r"in use|one usage|10048"):
            Simulator(port=taken.getsockname()[1]).start()


# -- writes

WRITES = [
    ("mexc", "api.mexc.com", "POST", "/api/v3/apiKeyInfo", "edits a key"),
    ("mexc", "api.mexc.com", "POST", "/api/v3/capital/withdraw", "moves money"),
    ("mexc", "api.mexc.com", "POST", "/api/v3/capital/transfer", "moves money"),
    ("mexc", "api.mexc.com", "DELETE", "/api/v3/capital/withdraw", "moves money"),
    ("mexc", "api.mexc.com", "POST", "/api/v3/order", "places or cancels an order"),
    ("mexc", "api.mexc.com", "DELETE", "/api/v3/openOrders", "places or cancels an order"),
    ("mexc", "api.mexc.com", "POST", "/api/v3/order/test/", "places or cancels an order"),
    ("mexc", "contract.mexc.com", "POST", "/api/v1/private/order/create", "places or cancels an order"),
    ("mexc", "contract.mexc.com", "POST", "/api/v1/private/position/change_leverage", "changes a position"),
    ("mexc", "api.mexc.com", "PUT", "/api/v3/userDataStream", "is no documented dry run"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v3/withdrawals", "moves money"),
    ("kucoin", "api.kucoin.com", "DELETE", "/api/v1/withdrawals/1", "moves money"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v3/accounts/universal-transfer", "moves money"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v2/accounts/inner-transfer", "moves money"),
    ("kucoin", "api-futures.kucoin.com", "POST", "/api/v3/transfer-out", "moves money"),
    ("kucoin", "api-futures.kucoin.com", "POST", "/api/v1/transfer-in", "moves money"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v3/deposit-address/create", "moves money"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v1/sub/api-key/update", "edits a key"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v1/hf/orders", "places or cancels an order"),
    ("kucoin", "api.kucoin.com", "DELETE", "/api/v1/hf/orders/test", "places or cancels an order"),
    ("kucoin", "api-futures.kucoin.com", "POST", "/api/v1/orders", "places or cancels an order"),
    ("kucoin", "api.kucoin.com", "POST", "/api/v1/anything", "is no documented dry run"),
]


@pytest.mark.parametrize("write", WRITES)
def test_writes_are_violations(client: Client, write: tuple[str, str, str, str, str]) -> None:
    exchange, host, method, path, why = write
    keys = client.keys(exchange, "withdraw")
    if exchange == "kucoin":
        answer = client.kucoin(keys, method, path, "{}", host=host)
        assert (answer.status, answer.code) == (403, "400007")
    else:
        headers = {"X-MEXC-APIKEY": str(keys["apiKey"]), "ApiKey": str(keys["apiKey"])}
        answer = client.call(method, host, path, headers, "{}")
        assert answer.code in (700007, 704)
    (violation,) = client.sim.violations
    assert (violation["exchange"], violation["method"], violation["path"]) == (exchange, method, path)
    assert (violation["violation"], violation["account"]) == (why, "withdraw")


def test_a_write_to_a_stranger_is_a_violation_too(client: Client) -> None:
    client.call("POST", "api.mexc.com", "/withdraw", {"Host": "api.example.org"}, "{}")
    assert len(client.sim.violations) == 1


# -- faults


def test_latency(client: Client) -> None:
    with client.sim.faults({"latency_ms": 120}):
        start = time.perf_counter()
        mexc_time(client)
        assert time.perf_counter() - start >= 0.12


def test_reset_hang_and_cut(client: Client) -> None:
    impatient = Client(client.sim, timeout=0.4)
    with client.sim.faults({"path": TIME, "kind": "reset"}), pytest.raises((OSError, HTTPException)):
        mexc_time(client)
    with client.sim.faults({"path": TIME, "kind": "hang"}), pytest.raises(TimeoutError):
        mexc_time(impatient)
    with client.sim.faults({"path": TIME, "kind": "cut"}), pytest.raises((OSError, IncompleteRead)):
        mexc_time(client)
    assert [call["fault"] for call in client.sim.seen] == ["reset", "hang", "cut"]


def test_a_hanging_call_does_not_hold_up_stopping() -> None:
    with Simulator() as sim:
        sim.set_faults([{"kind": "hang"}])
        with pytest.raises(TimeoutError):
            Client(sim, timeout=0.2).call("GET", "api.mexc.com", TIME)
        start = time.perf_counter()
    assert time.perf_counter() - start < 2


def test_bodies(client: Client) -> None:
    def get(fault: dict[str, object], target: str = TIME) -> Answer:
        with client.sim.faults(fault):
            return client.call("GET", "api.mexc.com", target)

    broken = get({"kind": "truncate"})
    with pytest.raises(json.JSONDecodeError):
        _ = broken.json
    assert get({"kind": "empty"}).body == b""
    assert len(get({"kind": "huge", "megabytes": 1}).json["data"]) == 1024 * 1024
    own = get({"body": {"a": 1}, "status": 418, "headers": {"X-Test": "yes"}})
    assert (own.status, own.json, own.headers["x-test"]) == (418, {"a": 1}, "yes")
    assert get({"find": "serverTime", "with": "time"}).body.startswith(b'{"time"')
    assert get({"find": r"\d+", "with": "7", "regex": True}).json == {"serverTime": 7}


@pytest.mark.parametrize(
    ("status", "page", "words"),
    [
        (403, None, "block access from your country"), (403, "cloudflare", "Attention Required! | Cloudflare"),
        (403, "akamai", "Access Denied"), (451, None, "Unavailable For Legal Reasons"), (502, None, "Bad Gateway"),
        (503, None, "Service Temporarily Unavailable"), (200, None, "Sign in to this network"),
        (429, None, "Error 1015"),
    ],
)  # fmt: skip
def test_pages(client: Client, status: int, page: str | None, words: str) -> None:
    with client.sim.faults({"kind": "html", "status": status, "page": page}):
        answer = client.call("GET", "api.kucoin.com", "/api/v1/timestamp")
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.body.decode()


def test_too_many_requests(client: Client) -> None:
    with client.sim.faults({"status": 429, "retry_after": 7}):
        mexc, kucoin = mexc_time(client), client.call("GET", "api.kucoin.com", "/api/v1/timestamp")
    assert (mexc.status, mexc.code, mexc.headers["retry-after"]) == (429, 429, "7")
    assert (kucoin.status, kucoin.code) == (429, "429000")
    with client.sim.faults({"status": 429, "body": ""}):
        silent = mexc_time(client)
    assert (silent.status, silent.body) == (429, b"")
    assert "retry-after" not in silent.headers


def test_maintenance(client: Client) -> None:
    with client.sim.faults({"kind": "maintenance"}):
        assert "maintenance" in mexc_time(client).json["message"]
        assert client.call("GET", "api.kucoin.com", "/api/v1/status").json["data"]["status"] == "close"
        answer = client.call("GET", "api.kucoin.com", "/api/v1/timestamp")
        assert (answer.status, answer.code) == (503, "503000")


def test_faults_choose_their_calls(client: Client) -> None:
    client.sim.set_faults(
        {
            "faults": [
                {"exchange": "mexc", "path": "/api/v3/*", "count": 1, "status": 500},
                {"host": "api-futures.kucoin.com", "status": 502},
                {"account": "good", "path": "/api/v1/accounts", "status": 504},
            ]
        }
    )
    assert [mexc_time(client).status for _ in range(2)] == [500, 200]
    assert client.call("GET", "api.kucoin.com", "/api/v1/timestamp").status == 200
    assert client.call("GET", "api-futures.kucoin.com", "/api/v1/timestamp").status == 502
    assert client.kucoin(client.keys("kucoin", "good"), "GET", "/api/v1/accounts").status == 504
    assert client.kucoin(client.keys("kucoin", "withdraw"), "GET", "/api/v1/accounts").status == 200
    client.sim.set_faults([])
    assert client.call("GET", "api-futures.kucoin.com", "/api/v1/timestamp").status == 200


def test_probability_repeats(client: Client) -> None:
    def run() -> list[int]:
        client.sim.set_faults([{"probability": 0.5, "status": 500}])
        return [mexc_time(client).status for _ in range(12)]

    assert set(run()) == {200, 500}
    assert run() == run()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"faults": [{"kindd": "x"}]}, [{"kind": "nope"}], [{"kind": "html", "page": "x"}], [3], [{"latency_ms": "x"}]],
)
def test_wrong_faults_are_refused(client: Client, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"fault|kind|page|convert"):
        client.sim.set_faults(wrong)
    status, answer = client.control("POST", "/faults", wrong)
    assert status == 400
    assert answer["error"]


def test_mutator(client: Client) -> None:
    client.sim.set_mutator(lambda exchange, path, body: body.replace(b"serverTime", (exchange + path).encode()))
    assert "mexc/api/v3/time" in mexc_time(client).json


# -- clock, address, accounts


def test_clock(client: Client) -> None:
    keys = client.keys("mexc", "good")
    client.sim.set_clock(-60_000)
    assert mexc_time(client).json["serverTime"] < time.time() * 1000 - 50_000
    assert client.mexc(keys, "GET", "/api/v3/uid").code == 700003
    assert client.mexc(keys, "GET", "/api/v3/uid", time_ms=int(time.time() * 1000) - 60_000).status == 200
    client.sim.set_clock(0, "mexc")
    assert client.mexc(keys, "GET", "/api/v3/uid").status == 200
    assert client.kucoin(client.keys("kucoin", "good"), "GET", "/api/v1/accounts").code == "400002"


def test_a_key_ends_when_its_time_has_come(client: Client) -> None:
    client.sim.change_account("kucoin", "good", expires_in_days=0)
    assert client.kucoin(client.keys("kucoin", "good"), "GET", "/api/v1/accounts").code == "400003"


def test_address(client: Client) -> None:
    keys = client.keys("mexc", "good")
    client.sim.set_address("203.0.113.7")
    assert client.mexc(keys, "GET", "/api/v3/uid").json["msg"] == "IP [203.0.113.7] not in the ip white list"
    assert client.call("GET", "api.kucoin.com", "/api/v1/my-ip").json["data"] == "203.0.113.7"
    client.sim.set_address(None)
    client.sim.change_account("mexc", "good", seen_address="198.51.100.9")
    assert "198.51.100.9" in client.mexc(keys, "GET", "/api/v3/uid").json["msg"]


def test_change_at_the_exchange(client: Client) -> None:
    sim, keys = client.sim, client.keys("kucoin", "withdraw")
    sim.change_account("kucoin", "withdraw", permissions="General,Spot", passphrase="Another.word")
    assert client.kucoin(keys, "GET", "/api/v1/user/api-key").code == "400004"
    fresh = client.keys("kucoin", "withdraw")
    assert client.kucoin(fresh, "GET", "/api/v1/user/api-key").json["data"]["permission"] == "General,Spot"
    for account, changes in (("nobody", {}), ("good", {"nonsense": 1}), ("good", {"status": "odd"})):
        with pytest.raises(ValueError, match="known: "):
            sim.change_account("kucoin", account, **changes)
    for fees in ("0.001", ["0.001", "many"], []):
        with pytest.raises(ValueError, match="two rates"):
            sim.change_account("kucoin", "good", spot_fees=fees)
    sim.change_account("kucoin", "good", spot_fees="-0.0001,0.0002")
    (told,) = client.kucoin(client.keys("kucoin", "good"), "GET", "/api/v1/trade-fees?symbols=BTC-USDT").json["data"]
    assert (told["makerFeeRate"], told["takerFeeRate"]) == ("-0.0001", "0.0002")
    sim.change_account("kucoin", "good", status="deleted")
    assert client.kucoin(client.keys("kucoin", "good"), "GET", "/api/v1/user/api-key").code == "400003"
    sim.reset()
    assert client.kucoin(keys, "GET", "/api/v1/user/api-key").json["data"]["permission"].endswith("Transfer")


# -- the control server


def test_control(client: Client) -> None:
    sim = client.sim
    assert client.control("GET", "/") == (200, sim.hello())
    assert client.control("POST", "/faults", {"faults": [{"path": TIME, "status": 503}]})[0] == 200
    assert client.control("GET", "/faults")[1]["faults"] == [{"path": TIME, "kind": "status", "status": 503}]
    assert mexc_time(client).status == 503
    assert client.control("POST", "/faults", {"faults": []})[0] == 200
    assert client.control("POST", "/clock", {"offset_ms": 5000}) == (200, {"ok": True})
    assert mexc_time(client).json["serverTime"] > time.time() * 1000 + 4000
    assert client.control("POST", "/address", {"address": "203.0.113.7"})[0] == 200
    change = {"exchange": "mexc", "account": "good", "permissions": ["SPOT_ACCOUNT_READ"], "ip_whitelist": []}
    assert client.control("POST", "/accounts", change)[0] == 200
    stamp = int(time.time() * 1000) + 5000
    assert client.mexc(client.keys("mexc", "good"), "POST", "/api/v3/order/test", time_ms=stamp).code == 700007
    assert client.control("POST", "/accounts", {"exchange": "mexc", "account": "good", "reset": True})[0] == 200
    client.call("POST", "api.mexc.com", "/api/v3/order", body="{}")
    seen = client.control("GET", "/seen")[1]
    assert seen["total"] == len(seen["calls"]) == 4
    assert len(seen["violations"]) == 1
    assert seen["errors"] == []
    assert client.control("DELETE", "/seen")[0] == 200
    assert sim.seen == sim.violations == []
    assert client.control("POST", "/reset", {})[0] == 200
    assert abs(mexc_time(client).json["serverTime"] - time.time() * 1000) < 2000
    for method, path, body, status in (
        ("POST", "/clock", {}, 400), ("POST", "/clock", [], 400), ("POST", "/accounts", {"exchange": "x"}, 400),
        ("POST", "/clock", {"offset_ms": 1, "exchange": "x"}, 400), ("GET", "/nothing", None, 404),
    ):  # fmt: skip
        assert client.control(method, path, body)[0] == status


def test_seen_holds_no_secret(client: Client) -> None:
    for exchange in ("mexc", "kucoin"):
        keys = client.keys(exchange, "good")
        secrets = [value for value in keys.values() if value]
        if exchange == "mexc":
            client.mexc(keys, "GET", "/api/v3/apiKeyInfo", f"accessKey={keys['apiKey']}")
            client.mexc(keys, "GET", f"/api/v3/{keys['apiKey']}/{keys['secret']}")
        else:
            client.kucoin(keys, "GET", f"/api/v1/accounts?currency={keys['secret']}")
            client.kucoin(keys, "POST", f"/api/v1/{keys['secret']}/{keys['password']}", json.dumps(keys))
            client.kucoin(keys, "GET", f"/api/v1/{keys['apiKey']}?{keys['apiKey']}=1")
        text = json.dumps(client.control("GET", "/seen")[1]) + repr(client.sim.seen)
        for secret in secrets:
            assert secret not in text
        first = client.sim.seen[0]
        assert (first["method"], first["account"], first["status"]) == ("GET", "good", 200)
        assert first["exchange"] in ("mexc", "kucoin")
        client.sim.forget()


# -- the command


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serve(tmp_path: Path, stop: signal.Signals) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('{"faults": [{"path": "/api/v3/ping", "status": 503}]}')
    code = (
        "import sys, pathlib; from bfai.simulator import serve; "
        "serve(ca=pathlib.Path(sys.argv[1]), faults=pathlib.Path(sys.argv[2]), as_json=True); print('done')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "ca.pem"), str(faults)]
    root = Path(bfai.simulator.__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        hello = json.loads(process.stdout.readline())
        assert list(hello) == ["gateway", "ca", "control", "accounts"]
        assert Path(hello["ca"]) == tmp_path / "ca.pem"
        other = Simulator()
        other.gateway, other.ca_file = hello["gateway"], Path(hello["ca"])
        assert Client(other).call("GET", "api.mexc.com", "/api/v3/ping").status == 503
        assert Client(other).call("GET", "api.mexc.com", TIME).status == 200
        process.send_signal(stop)
        out, err = process.communicate(timeout=10)
        assert (out, err, process.returncode) == ("done\n", "", 0)
