"""The traps of each exchange, one test each: what its answers mean although they look like something else."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from bfai import diagnosis, explain
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, CountedFrom, Role, merge_reports
from bfai.model import (
    Advice,
    Cause,
    Credentials,
    Diagnosis,
    Environment,
    Evidence,
    ExpiryEvidence,
    GrantState,
    KeyReport,
    Market,
    Permission,
    Status,
    Target,
)
from bfai.simulator import Simulator
from bfai.transport import Client, Gateway, Transport, redact
from bfai.words import advice
from tests.helpers import run_once, sample

GRANTED, DENIED, UNKNOWN = GrantState.GRANTED, GrantState.DENIED, GrantState.UNKNOWN


def report(exchange: str, body: Any, api_key: str | None = None) -> KeyReport:
    found = get_exchange(exchange).read_report(body, received_at=datetime(2026, 11, 21, 9, tzinfo=UTC), api_key=api_key)
    assert found is not None
    return found


def refusal(exchange: str, body: Any, *, status: int = 200, role: str = "account") -> Diagnosis:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    found = diagnosis.diagnose(Answer(role=role, status=status, body=text), get_exchange(exchange))
    assert found is not None
    return found


# -- signatures that the documents or an independent computation give --------------------------------------------------

NOW_MS = 1_700_000_000_000
A_KEY = Credentials("APIKEYEXAMPLE01", "SECRETEXAMPLE02", "PassPhrase03")


@pytest.mark.parametrize(
    ("exchange", "credentials", "role", "market", "path", "where", "signature"),
    [
        ("binance", Credentials("a" * 64, "b" * 64), Role.KEY_INFO, "spot", "/sapi/v1/account/apiRestrictions",
         "signature", "5334c90ba4ee43e1609824f4bdb92aada9ad583dfe582cc2cab19c1643d982b5"),
        ("okx", A_KEY, Role.KEY_INFO, "spot", "/api/v5/account/config",
         "OK-ACCESS-SIGN", "Ylp7P+B9fuPLmG+JmdhQaITFz9W3AR6EHql4hxggVGc="),
        ("bitget", A_KEY, Role.KEY_INFO, "spot", "/api/v2/spot/account/info",
         "ACCESS-SIGN", "1eumIrspz8vacGYLCf4DVI/Jh185Kib6JQpiAFFg044="),
        ("bitget", A_KEY, Role.KEY_INFO, "spot", "/api/v3/account/info",
         "ACCESS-SIGN", "6KKjE+q6yPxtQDAEamJfu5zI8EvYgYlv9HOyWM1tP6o="),
        ("bitget", A_KEY, Role.BALANCE, "futures", "/api/v2/mix/account/accounts",
         "ACCESS-SIGN", "4oynY8b9ZDqkUeJiAH55RuT0A71pFPCwZoCHnMcqEJA="),
        ("bybit", A_KEY, Role.KEY_INFO, "spot", "/v5/user/query-api",
         "X-BAPI-SIGN", "6a2381931736f530ca38d937e966834e149946fcdb52bf3b638f4589cdbf08fa"),
        ("bybit", A_KEY, Role.BALANCE, "spot", "/v5/account/wallet-balance",
         "X-BAPI-SIGN", "2963017dd0d99e6b43a813a730e477efe785a91a20b6c6a25f589efa02b89571"),
        ("gate", Credentials("a" * 32, "b" * 64), Role.KEY_INFO, "spot", "/api/v4/account/detail",
         "SIGN", "c7c994dcc980ccf93f801b6ef9e9bb502f80641d4d5813a83e920cd829d0d0620"
                 "fb3a433e86c8a40bcd4b8069a89088fc6915d64d04bef7ef90c4ecceb973cff"),
        ("htx", Credentials("ak-0001", "sk-0001"), Role.ACCOUNT, "spot", "/v2/user/uid",
         "Signature", "2l8hUYJScKfarAqm0e/CZipsx/1UGZbfQTeiTYxPebM="),
        ("htx", Credentials("ak-0001", "sk-0001"), Role.KEY_INFO, "spot", "/v2/user/api-key",
         "Signature", "zxAaHpaAMFrjbd0rWdEVQkLQRIiKIU35leLD14yrN3s="),
        ("bingx", Credentials("KEY", "SECRET"), Role.KEY_INFO, "spot", "/openApi/v1/account/apiRestrictions",
         "signature", "19b46ad9a1e9fa824812324598aa7d97b82085e0e522018efc9cc29f4f00d59f"),
        ("bingx", Credentials("KEY", "SECRET"), Role.KEY_INFO, "spot", "/openApi/account/v1/apiKey/query",
         "signature", "26bff97c630202ba7cab4a3fb2a694bbb5892537a6108f25003d633d9ba92b25"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 45 else "",
)  # fmt: skip
def test_golden_signatures(
    exchange: str,
    credentials: Credentials,
    role: Role,
    market: str,
    path: str,
    where: str,
    signature: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter = get_exchange(exchange)
    client = Client(Transport(), adapter, Target(exchange=exchange, market=Market(market)), credentials)
    client.values["uid"] = "123" if exchange == "htx" else "1"
    monkeypatch.setattr("bfai.transport.time.time", lambda: NOW_MS / 1000)
    call = next(call for call in adapter.plan(Market(market)) if call.role is role and call.path == path)
    url, headers, _ = client._sign(call, client.site.hosts[call.host])
    assert headers.get(where, url.query.get(where)) == signature


def test_a_coinbase_token_follows_the_corrected_clock() -> None:
    import base64

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    secret = base64.b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()
    credentials = Credentials("55555555-6666-4777-8888-999999999999", secret)
    coinbase = get_exchange("coinbase")
    client = Client(Transport(), coinbase, Target(exchange="coinbase"), credentials, clock_offset_ms=3_600_000)
    call = next(call for call in coinbase.calls if call.role is Role.KEY_INFO)
    _, headers, _ = client._sign(call, "api.coinbase.com")
    claims = headers["Authorization"].removeprefix("Bearer ").split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert told["nbf"] == pytest.approx(time.time() + 3600, abs=5)


# -- OKX ---------------------------------------------------------------------------------------------------------------


def okx(perm: str, **fields: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": [{"perm": perm, "uid": "1", "mainUid": "1", "ip": "", **fields}]}


def test_okx_cannot_part_spot_futures_and_transfer() -> None:
    trading = report("okx", okx("read_only,trade"))
    for right in (Permission.SPOT_TRADE, Permission.FUTURES_TRADE, Permission.TRANSFER):
        assert trading.state(right) is GRANTED
    assert trading.state(Permission.WITHDRAW) is DENIED
    assert get_exchange("okx").inseparable(Permission.SPOT_TRADE, trading.words) >= {Permission.FUTURES_TRADE}


def test_okx_is_not_told_to_untick_what_nobody_can_untick(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "okx", sample(simulator, "okx", "good"))
    assert run.status is Status.ONLINE
    assert not {Advice.TRANSFER_ALLOWED, Advice.FUTURES_NOT_NEEDED, Advice.MARGIN_NOT_NEEDED} & {*run.advice}


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("50119", Cause.INVALID_KEY),
        ("50120", Cause.PERMISSION_MISSING),
        ("50121", Cause.LOCATION_RESTRICTED),
    ],
)
def test_okx_codes_that_ccxt_does_not_know(code: str, cause: Cause) -> None:
    assert refusal("okx", {"code": code, "msg": "…", "data": []}, status=401).cause is cause
    import ccxt

    known: Any = cast("Any", ccxt.okx()).exceptions["exact"]
    assert code not in known, "ccxt has learnt it: the note in the adapter is out of date"


def test_okx_unknown_key_may_belong_to_another_region() -> None:
    found = refusal("okx", {"msg": "API key doesn't exist", "code": "50119"}, status=401)
    assert Cause.WRONG_ENVIRONMENT in found.candidates and Cause.EXPIRED_KEY in found.candidates


def test_okx_region_that_owns_the_key_is_found(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("okx", "good", site="us")
    credentials = sample(simulator, "okx", "good")
    alone = run_once(gateway, "okx", credentials)
    assert alone.diagnosis is not None and alone.diagnosis.region is None
    assert {call["host"] for call in simulator.seen if call["account"]} == {"www.okx.com"}
    found = run_once(gateway, "okx", credentials, try_regions=True)
    assert found.diagnosis is not None
    assert (found.diagnosis.cause, found.diagnosis.region) == (Cause.WRONG_ENVIRONMENT, "us")
    hosts = [sent.host for sent in found.receipt]
    assert hosts[-2:] == ["eea.okx.com", "us.okx.com"], "asked one by one, and shown on the receipt"


def test_okx_a_refusal_that_knows_the_key_is_an_owner_too(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("okx", "ip_blocked", site="eea")
    found = run_once(gateway, "okx", sample(simulator, "okx", "ip_blocked"), try_regions=True)
    assert found.diagnosis is not None and found.diagnosis.region == "eea"


@pytest.mark.parametrize(("mode", "ok"), [("1", False), ("2", True), ("3", True), ("4", True)])
def test_okx_spot_mode_trades_no_futures(simulator: Simulator, gateway: Gateway, mode: str, ok: bool) -> None:
    simulator.change_account("okx", "good", mode=mode)
    credentials = sample(simulator, "okx", "good")
    assert run_once(gateway, "okx", credentials).status.ok
    futures = run_once(gateway, "okx", credentials, market="futures")
    assert futures.status.ok is ok
    if not ok:
        assert futures.diagnosis is not None and futures.diagnosis.cause is Cause.ACCOUNT_RESTRICTED


def test_okx_demo_key_on_live_says_so(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("okx", "good", site="demo")
    credentials = sample(simulator, "okx", "good")
    live = run_once(gateway, "okx", credentials)
    assert live.diagnosis is not None and live.diagnosis.cause is Cause.WRONG_ENVIRONMENT
    assert run_once(gateway, "okx", credentials, environment=Environment.DEMO).status.ok


# -- Bitget ------------------------------------------------------------------------------------------------------------


def bitget(*words: str, **fields: Any) -> dict[str, Any]:
    return {"code": "00000", "msg": "success", "data": {"userId": "7", "authorities": list(words), "ips": "", **fields}}


def test_bitget_wwow_withdraws_and_wtow_transfers() -> None:
    assert report("bitget", bitget("stow", "wwow")).state(Permission.WITHDRAW) is GRANTED
    transferring = report("bitget", bitget("stow", "wtow"))
    assert transferring.state(Permission.TRANSFER) is GRANTED
    assert transferring.state(Permission.WITHDRAW) is DENIED


@pytest.mark.parametrize("word", ["trade", "readonly", "p2pw", "vaow", "WWOWW"])
def test_bitget_words_outside_the_table_leave_withdrawal_open(word: str) -> None:
    assert report("bitget", bitget("stow", word)).state(Permission.WITHDRAW) is UNKNOWN


def test_bitget_sub_account_rights_are_an_escalation() -> None:
    assert report("bitget", bitget("stow", "chow")).escalations


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_bitget_both_kinds_of_account_work(simulator: Simulator, gateway: Gateway, market: str) -> None:
    credentials = sample(simulator, "bitget", "good")
    assert run_once(gateway, "bitget", credentials, market=market).status.ok
    simulator.change_account("bitget", "good", mode="unified", permissions=("uta_mgt", "uta_trade"))
    unified = run_once(gateway, "bitget", credentials, market=market)
    assert unified.status.ok
    assert unified.balances["USDT"] == "4210.00"
    simulator.change_account("bitget", "good", permissions=("uta_mgt", "uta_trade", "withdraw"))
    assert run_once(gateway, "bitget", credentials, market=market).status is Status.BLOCKED


def test_bitget_other_kind_of_account_is_no_missing_right(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bitget", sample(simulator, "bitget", "good"))
    statuses = {sent.path: sent.status for sent in run.receipt}
    assert statuses["/api/v3/account/info"] == 400, "a classic account refuses the call for unified ones"
    assert run.diagnosis is None


def test_bitget_a_unified_key_that_only_reads_may_not_trade() -> None:
    data = {"userId": "7", "parentId": "", "ips": "", "permType": "read-only", "permissions": ["uta_mgt", "uta_trade"]}
    found = report("bitget", {"code": "00000", "data": data})
    assert found.state(Permission.SPOT_TRADE) is found.state(Permission.FUTURES_TRADE) is DENIED
    assert (
        report("bitget", {"code": "00000", "data": {**data, "permissions": ["withdraw"]}}).state(Permission.WITHDRAW)
        is GRANTED
    )
    odd = report("bitget", {"code": "00000", "data": {**data, "permType": "sometimes"}})
    assert odd.state(Permission.WITHDRAW) is UNKNOWN


def test_bitget_kind_of_account_is_never_left_to_ccxt() -> None:
    client = Client(Transport(), get_exchange("bitget"), Target(exchange="bitget"), A_KEY)
    assert client._signer.options["uta"] is False
    import ccxt

    assert cast("Any", ccxt.bitget()).options.get("uta") is None, "ours is a copy"


@pytest.mark.parametrize(
    ("words", "permission"),
    [
        ("Incorrect permissions, need spot order write permissions", Permission.SPOT_TRADE),
        ("Incorrect permissions, need contract order write permissions", Permission.FUTURES_TRADE),
        ("Incorrect permissions, need spot order read permissions", Permission.READ),
    ],
)
def test_bitget_names_the_missing_right(words: str, permission: Permission) -> None:
    found = refusal("bitget", {"code": "40014", "msg": words, "data": None}, status=400)
    assert (found.cause, found.permission) == (Cause.PERMISSION_MISSING, permission)


# -- Bybit -------------------------------------------------------------------------------------------------------------


def bybit(
    read_only: Any = 0, *, wallet: tuple[str, ...] = (), spot: tuple[str, ...] = ("SpotTrade",), **fields: Any
) -> Any:
    groups = {"Spot": list(spot), "Wallet": list(wallet), "ContractTrade": [], "Earn": []}
    result = {"apiKey": "k", "readOnly": read_only, "permissions": groups, "ips": ["*"], "isMaster": True, **fields}
    return {"retCode": 0, "retMsg": "", "result": result}


def test_bybit_read_only_outweighs_every_listed_right() -> None:
    found = report("bybit", bybit(1, wallet=("AccountTransfer",)))
    assert found.state(Permission.READ) is GRANTED
    assert found.state(Permission.SPOT_TRADE) is found.state(Permission.TRANSFER) is DENIED


def test_bybit_a_listed_withdrawal_is_believed_all_the_same() -> None:
    assert report("bybit", bybit(1, wallet=("Withdraw",))).state(Permission.WITHDRAW) is GRANTED


@pytest.mark.parametrize("switch", ["1", None, "yes", [], 2])
def test_bybit_an_unreadable_switch_leaves_everything_open(switch: Any) -> None:
    assert report("bybit", bybit(switch)).state(Permission.WITHDRAW) is UNKNOWN


def test_bybit_1970_means_that_the_key_does_not_end() -> None:
    found = report("bybit", bybit(expiredAt="1970-01-01T00:00:00Z", deadlineDay=-2))
    assert (found.expires_at, found.expiry_evidence) == (None, ExpiryEvidence.FIELD)
    ends = report("bybit", bybit(expiredAt="2026-12-01T00:00:00Z"))
    assert ends.expires_at == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ips", "state"),
    [(["*"], DENIED), ([], DENIED), (["203.0.113.7"], GRANTED), (None, UNKNOWN), ("*", UNKNOWN), ([1], UNKNOWN)],
)
def test_bybit_addresses(ips: Any, state: GrantState) -> None:
    assert report("bybit", bybit(ips=ips)).ip_restriction.state is state


@pytest.mark.parametrize("master", [True, False])
def test_bybit_keys_with_a_transfer_right_can_edit_themselves(master: bool) -> None:
    found = report("bybit", bybit(wallet=("AccountTransfer",), isMaster=master))
    assert any("may change its own rights" in text for text in found.escalations)
    assert any("list of addresses" in text for text in found.escalations) is not master
    assert report("bybit", bybit(isMaster=master)).escalations == ()


def test_bybit_an_unknown_group_leaves_withdrawal_open() -> None:
    body = bybit()
    body["result"]["permissions"]["Vault"] = ["VaultAccess"]
    assert report("bybit", body).state(Permission.WITHDRAW) is UNKNOWN
    body["result"]["permissions"]["Vault"] = {"VaultAccess": True}
    assert report("bybit", body).state(Permission.WITHDRAW) is UNKNOWN


def test_bybit_withdrawal_is_proved_by_a_read_that_needs_it(simulator: Simulator, gateway: Gateway) -> None:
    """Even where the report hides it."""
    simulator.change_account(
        "bybit", "withdraw", report={"permissions": {"Spot": ["SpotTrade"], "Wallet": [], "ContractTrade": []}}
    )
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "withdraw"))
    assert run.status is Status.BLOCKED
    assert run.key_report is not None
    assert run.key_report.grant(Permission.WITHDRAW).evidence is Evidence.PROBED


def test_bybit_country_page_is_no_rate_limit() -> None:
    page = (
        "<html><title>ERROR: The request could not be satisfied</title>The Amazon CloudFront distribution is configured"
        " to block access from your country.</html>"
    )
    assert refusal("bybit", page, status=403).cause is Cause.LOCATION_RESTRICTED
    assert refusal("bybit", "access too frequent", status=403).cause is Cause.RATE_LIMITED
    body = {"retCode": 10009, "retMsg": "Service Restricted: …", "result": {}}
    assert refusal("bybit", body).cause is Cause.LOCATION_RESTRICTED


def test_bybit_demo_tells_nothing_about_a_key(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bybit", "good", site="demo")
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"), environment=Environment.DEMO)
    assert run.status is Status.CONNECTED
    assert Advice.RIGHT_UNKNOWN in run.advice
    assert {sent.host for sent in run.receipt} == {"api-demo.bybit.com"}
    assert not any("query-api" in sent.path for sent in run.receipt)


# -- Binance -----------------------------------------------------------------------------------------------------------


def test_binance_minus_2015_stays_ambiguous_and_names_the_address(simulator: Simulator, gateway: Gateway) -> None:
    simulator.set_address("203.0.113.9")
    run = run_once(gateway, "binance", sample(simulator, "binance", "ip_blocked"))
    assert run.diagnosis is not None
    assert run.diagnosis.cause in (Cause.AMBIGUOUS, Cause.IP_NOT_ALLOWED)
    assert run.diagnosis.candidates[0] is Cause.IP_NOT_ALLOWED
    assert run.diagnosis.seen_ip is not None, "the futures host tells which address it saw"


def test_binance_minus_2015_on_futures_is_a_missing_right_where_the_key_report_came(
    simulator: Simulator, gateway: Gateway
) -> None:
    run = run_once(gateway, "binance", sample(simulator, "binance", "no_futures"), market="futures")
    assert run.diagnosis is not None
    assert (run.diagnosis.cause, run.diagnosis.permission) == (Cause.PERMISSION_MISSING, Permission.FUTURES_TRADE)
    assert any(sent.status == 401 for sent in run.receipt)


def test_binance_account_flags_say_nothing_about_the_key() -> None:
    body = {"canTrade": True, "canWithdraw": True, "permissions": ["SPOT"], "balances": []}
    assert get_exchange("binance").read_report(body) is None


@pytest.mark.parametrize("value", [None, "false", 0, "no", ...])
def test_binance_a_missing_or_unreadable_field_is_not_off(value: Any) -> None:
    body = {"enableReading": True, "enableSpotAndMarginTrading": True, "ipRestrict": True, "enableWithdrawals": value}
    if value is ...:
        del body["enableWithdrawals"]
    assert report("binance", body).state(Permission.WITHDRAW) is UNKNOWN


# -- Gate.io -----------------------------------------------------------------------------------------------------------


def gate(*perms: tuple[str, bool]) -> dict[str, Any]:
    named = [{"name": name, "read_only": read_only} for name, read_only in perms]
    return {"state": 1, "mode": 1, "name": "bot", "perms": named, "ip_whitelist": [], "key": {"mode": 1}}


def test_gate_never_tells_that_withdrawal_is_off() -> None:
    found = report("gate", gate(("account", True), ("spot", False)))
    assert found.state(Permission.SPOT_TRADE) is GRANTED
    assert found.state(Permission.FUTURES_TRADE) is DENIED
    assert found.state(Permission.WITHDRAW) is UNKNOWN


@pytest.mark.parametrize("name", ["withdrawal", "withdraw", "withdrawals", "fast_withdraw"])
def test_gate_a_word_that_names_withdrawal_is_believed(name: str) -> None:
    assert report("gate", gate(("spot", False), (name, False))).state(Permission.WITHDRAW) is GRANTED
    assert report("gate", gate(("spot", False), (name, True))).state(Permission.WITHDRAW) is UNKNOWN


def test_gate_never_takes_another_keys_row() -> None:
    rows = [{**gate(("spot", False)), "key": "c5dcfbf1f3a7*****"}, {**gate(("spot", True)), "key": "d5dcfbf1f3a7*****"}]
    own = report("gate", rows, "d5dcfbf1f3a7" + "0" * 20)
    assert own.state(Permission.SPOT_TRADE) is DENIED
    adapter = get_exchange("gate")
    assert adapter.read_report(rows, api_key="e" * 32) is None
    assert adapter.read_report([rows[0], rows[0]], api_key="c5dcfbf1f3a7" + "0" * 20) is None


def test_gate_parts_address_and_right_by_the_sentence() -> None:
    blocked = refusal("gate", {"label": "FORBIDDEN", "message": "Request IP not in whitelist: 1.1.1.1"}, status=403)
    assert (blocked.cause, blocked.seen_ip) == (Cause.IP_NOT_ALLOWED, "1.1.1.1")
    words = "Request API key does not have spot permission"
    assert refusal("gate", {"label": "FORBIDDEN", "message": words}, status=403).cause is Cause.PERMISSION_MISSING
    odd = refusal("gate", {"label": "FORBIDDEN", "message": "no"}, status=403)
    assert odd.cause is Cause.AMBIGUOUS


def test_gate_eu_never_sends_a_key_to_the_global_company() -> None:
    adapter = get_exchange("gate")
    assert not adapter.serves("eu", Market.FUTURES)
    hosts = {adapter.site("eu").hosts[call.host] for call in adapter.plan(Market.SPOT, "eu")}
    assert hosts == {"api.gateeu.com"}


def test_gate_eu_tells_its_time_to_signed_calls_only(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("gate", "good", site="eu")
    run = run_once(gateway, "gate", sample(simulator, "gate", "good"), region="eu")
    assert run.diagnosis is not None and run.diagnosis.cause is Cause.WITHDRAW_UNKNOWN, "all else is well"
    assert run.clock_offset_ms is not None and abs(run.clock_offset_ms) < 2000
    assert {sent.host for sent in run.receipt} == {"api.gateeu.com"}
    body = '{"label":"INVALID_KEY","message":"Missing required header: Timestamp"}'
    assert refusal("gate", body, status=401, role="public_time").cause is Cause.INVALID_KEY, "as a pasted text"


# -- HTX ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("Incorrect Access key [Access key错误]", Cause.INVALID_KEY),
        ("Verification failure [校验失败]", Cause.INVALID_SECRET),
        ("Incorrect IP address [IP地址错误]:119.81.237.3", Cause.IP_NOT_ALLOWED),
        ("API key has expired [API Key已经过期]", Cause.EXPIRED_KEY),
        ("APIkey has expired", Cause.EXPIRED_KEY),
        ("API key has no permission [API Key没有权限]", Cause.PERMISSION_MISSING),
        ("Invalid submission time or incorrect time format [无效的提交时间，或时间格式错误]", Cause.CLOCK_SKEW),
        ("[校验失败]", Cause.INVALID_SECRET),
        ("[IP地址错误]", Cause.IP_NOT_ALLOWED),
    ],
)
@pytest.mark.parametrize("style", ["v1", "contract", "v5"])
def test_htx_one_code_six_causes(style: str, words: str, cause: Cause) -> None:
    body = {
        "v1": {"status": "error", "err-code": "api-signature-not-valid", "err-msg": f"Signature not valid: {words}"},
        "contract": {"status": "error", "err_code": 403, "err_msg": words, "ts": 1},
        "v5": {"code": 401, "message": words},
    }[style]
    assert refusal("htx", body).cause is cause, "status 200 all of them"


@pytest.mark.parametrize("code", [401, 403, 1002, 1003, 2002, 12001, 12004, 12005, 12007, 12008, 429, 500])
def test_htx_a_number_inside_a_200_is_never_a_success(code: int) -> None:
    refusal("htx", {"code": code, "message": "", "data": {"details": []}}, role="balance")


def test_htx_days_left() -> None:
    row = {"accessKey": "k", "permission": "readOnly,trade", "ipAddresses": "", "validDays": 5, "status": "normal"}
    ends = report("htx", {"code": 200, "data": [row]}, "k").expires_at
    assert ends == datetime(2026, 11, 26, tzinfo=UTC)
    lasting = report("htx", {"code": 200, "data": [{**row, "validDays": -1}]}, "k")
    assert (lasting.expires_at, lasting.expiry_evidence) == (None, ExpiryEvidence.FIELD)
    assert get_exchange("htx").read_report({"code": 200, "data": [row]}, api_key="another") is None


def test_htx_signs_the_host_that_is_asked() -> None:
    client = Client(Transport(), get_exchange("htx"), Target(exchange="htx"), Credentials("ak-0001", "sk-0001"))
    assert client._signer.hostname == client.site.hosts["spot"]
    assert client._signer.urls["hostnames"]["contract"] == client.site.hosts["futures"]


# -- BingX -------------------------------------------------------------------------------------------------------------

LONG = {"ipRestrict": True, "enableReading": True, "enableSpotAndMarginTrading": True, "enableFutures": True,
        "permitsUniversalTransfer": False, "enableWithdrawals": False}  # fmt: skip
SHORT = {name: value for name, value in LONG.items() if name != "enableWithdrawals"}


def numbers(*codes: Any) -> dict[str, Any]:
    return {"apiKey": "k", "permissions": list(codes), "ipAddresses": [""], "note": "bot"}


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"code": 0, "data": body}])
def test_bingx_forms(wrap: Any) -> None:
    assert report("bingx", wrap(LONG)).state(Permission.WITHDRAW) is DENIED
    assert report("bingx", wrap(SHORT)).state(Permission.WITHDRAW) is UNKNOWN
    assert report("bingx", wrap(numbers(1, 2, 3))).state(Permission.WITHDRAW) is DENIED
    assert report("bingx", wrap(numbers(1, 2, 5))).state(Permission.WITHDRAW) is GRANTED
    assert report("bingx", wrap(numbers(1, 2, 6))).state(Permission.WITHDRAW) is UNKNOWN


def test_bingx_reports_are_cross_checked() -> None:
    def joined(*bodies: Any) -> GrantState:
        merged = merge_reports([report("bingx", body) for body in bodies])
        assert merged is not None
        return merged.state(Permission.WITHDRAW)

    assert joined(LONG, numbers(1, 2, 3)) is DENIED
    assert joined(SHORT, numbers(1, 2, 3)) is DENIED
    assert joined(LONG, numbers(1, 2, 3, 5)) is GRANTED, "the worse one counts"
    assert joined({**LONG, "enableWithdrawals": True}, numbers(1, 2, 3)) is GRANTED
    assert joined(LONG, numbers(1, 2, 3, 6)) is UNKNOWN, "a number that nobody knows"
    assert joined(SHORT, numbers(1, 2, 3, "x")) is UNKNOWN


def test_bingx_contradicting_endpoints_block_over_the_wire(simulator: Simulator, gateway: Gateway) -> None:
    simulator.change_account("bingx", "good", report={"B": {"permissions": [1, 2, 3, 5]}})
    assert run_once(gateway, "bingx", sample(simulator, "bingx", "good")).status is Status.BLOCKED
    simulator.reset()
    simulator.change_account("bingx", "good", mode="short")
    assert run_once(gateway, "bingx", sample(simulator, "bingx", "good")).status.ok, "the numbers deny it"


@pytest.mark.parametrize(
    ("code", "words", "cause"),
    [
        (100421, "null timestamp", Cause.CLOCK_SKEW),
        (100421, "this pair is restricted from API trading", Cause.PERMISSION_MISSING),
        (109400, "timestamp is invalid", Cause.CLOCK_SKEW),
        (80014, "timestamp is invalid", Cause.CLOCK_SKEW),
        (100410, "rate limited", Cause.RATE_LIMITED),
        (109429, "", Cause.RATE_LIMITED),
        (100413, "Incorrect apiKey", Cause.INVALID_KEY),
        (100001, "signature mismatch", Cause.INVALID_SECRET),
        (100414, "risk control check fail", Cause.ACCOUNT_RESTRICTED),
    ],
)
def test_bingx_codes_that_ccxt_maps_wrongly(code: int, words: str, cause: Cause) -> None:
    assert refusal("bingx", {"code": code, "msg": words, "timestamp": 1}).cause is cause


def test_bingx_names_the_missing_right() -> None:
    words = "Permission denied as the API key was created without the permission，this api need Spot Trading permission"
    assert refusal("bingx", {"code": 100004, "msg": words}).permission is Permission.SPOT_TRADE


def test_advice_names_the_boxes_of_this_key_only(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bybit", sample(simulator, "bybit", "good"))
    shown = [message.params["q_boxes"] for message in advice(run, get_exchange("bybit")) if "q_boxes" in message.params]
    assert shown == ["Unified Trading: Orders"]


# -- Coinbase ----------------------------------------------------------------------------------------------------------


def test_coinbase_transfer_is_withdrawal() -> None:
    body = {"can_view": True, "can_trade": True, "can_transfer": True, "portfolio_uuid": "p"}
    found = report("coinbase", body)
    assert found.state(Permission.WITHDRAW) is found.state(Permission.TRANSFER) is GRANTED
    assert report("coinbase", {**body, "can_transfer": False}).state(Permission.WITHDRAW) is DENIED
    del body["can_transfer"]
    assert report("coinbase", body).state(Permission.WITHDRAW) is UNKNOWN
    assert report("coinbase", {**body, "can_withdraw": False}).state(Permission.WITHDRAW) is UNKNOWN
    assert report("coinbase", {**body, "can_withdraw": True}).state(Permission.WITHDRAW) is GRANTED


def test_two_answers_in_one_are_never_read_as_the_better_one() -> None:
    """A name that stands twice, a second row, a second list, a second field."""
    twice = '{"enableReading":true,"enableWithdrawals":true,"enableWithdrawals":false}'
    assert Answer(body=twice).json is None
    rows = [{"perm": "read_only,trade"}, {"perm": "read_only,trade,withdraw"}]
    assert get_exchange("okx").read_report({"code": "0", "data": rows}) is None
    two_lists = bitget("stow", permissions=["uta_trade"], permType="read-and-write")
    assert report("bitget", two_lists).state(Permission.WITHDRAW) is UNKNOWN
    body = {"can_view": True, "can_trade": True, "can_transfer": False}
    for value, state in ((True, GRANTED), ("true", UNKNOWN), (1, UNKNOWN), (None, UNKNOWN)):
        assert report("coinbase", {**body, "can_withdraw_crypto": value}).state(Permission.WITHDRAW) is state
    without_reading = {"enableSpotAndMarginTrading": True, "enableWithdrawals": True}
    assert report("bingx", without_reading).state(Permission.WITHDRAW) is GRANTED


def test_a_demo_key_that_works_live_must_not_withdraw(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "bingx", sample(simulator, "bingx", "withdraw"), environment=Environment.DEMO)
    assert run.status is Status.BLOCKED


def test_a_private_key_in_a_pasted_text_is_hidden() -> None:
    text = 'error {"privateKey": "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEIPsecretsecretsecret\\n"} Unauthorized'
    assert "secretsecret" not in redact(text)
    assert "secretsecret" not in (explain.explain(Answer(error_text=text), None).exchange_said or "")


@pytest.mark.parametrize(
    "secret",
    [
        "MHcCAQEEIKx3vP0/9pG+Zr8dQ2mVt5bL1nHs7JwYcXe4oUiAoGCCqGSM49==",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "mx0vglABCdef1234567890",
        "8d4c51c6-2f1e-4a3b-9c7d-0e5f6a7b8c9d",
    ],
)
def test_a_key_without_its_name_is_hidden(secret: str) -> None:
    for text in (f"secret was {secret}", f"could not sign with {secret}, giving up", f'{{"privateKey":"{secret}"}}'):
        assert secret[4:] not in redact(text)
    words = "Signature for /openApi/v1/account/apiRestrictions at api-signature-not-valid 1700000000000 203.0.113.7"
    assert redact(words) == words


def test_coinbase_tells_neither_addresses_nor_an_end() -> None:
    found = report("coinbase", {"can_view": True, "can_trade": True, "can_transfer": False})
    assert found.ip_restriction.state is UNKNOWN
    assert (found.expires_at, found.expiry_evidence) == (None, ExpiryEvidence.NONE)


@pytest.mark.parametrize("text", ["Unauthorized", "Unauthorized\n", " unauthorized "])
def test_coinbase_plain_unauthorized_is_ambiguous(text: str) -> None:
    found = refusal("coinbase", text, status=401)
    assert found.cause is Cause.AMBIGUOUS
    wanted = {Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.IP_NOT_ALLOWED, Cause.CLOCK_SKEW}
    assert wanted <= {*found.candidates}


def test_coinbase_a_wrong_clock_is_found_without_being_told(simulator: Simulator, gateway: Gateway) -> None:
    """The refusal says nothing, but the clocks differ, and with the right time the key works."""
    simulator.set_clock(600_000, "coinbase")
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "good"))
    assert run.status.ok
    assert Advice.CLOCK_CORRECTED in run.advice


def test_coinbase_agreeing_clocks_rule_the_time_out(simulator: Simulator, gateway: Gateway) -> None:
    run = run_once(gateway, "coinbase", sample(simulator, "coinbase", "ip_blocked"))
    assert run.diagnosis is not None
    assert Cause.CLOCK_SKEW not in run.diagnosis.candidates
    assert Cause.IP_NOT_ALLOWED in run.diagnosis.candidates


# -- keys that die silently --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "days", "counted"),
    [
        ("mexc", 90, CountedFrom.CREATION),
        ("kucoin", 30, CountedFrom.LAST_USE),
        ("okx", 14, CountedFrom.LAST_USE),
        ("bingx", 14, CountedFrom.LAST_USE),
        ("htx", 90, CountedFrom.LAST_USE),
        ("bybit", 90, CountedFrom.CREATION),
        ("bybit", 7, CountedFrom.PASSWORD_CHANGE),
    ],
)
def test_expiry_rules_are_data_with_a_source(exchange: str, days: int, counted: CountedFrom) -> None:
    rules = [(rule.days, rule.counted) for rule in get_exchange(exchange).expiry_rules]
    assert (days, counted) in rules


def test_a_rule_is_counted_from_what_is_known() -> None:
    (rule,) = get_exchange("okx").expiry_rules
    now = datetime(2026, 11, 21, tzinfo=UTC)
    open_key = report("okx", okx("read_only,trade"))
    assert rule.end(open_key, now) == now + timedelta(days=14)
    assert rule.end(open_key, None) is None
    assert rule.end(report("okx", okx("read_only,trade", ip="203.0.113.7")), now) is None, "bound keys stay"
    assert rule.end(report("okx", okx("read_only")), now) is None, "keys that only read stay"


def test_every_exchange_has_its_traps_here() -> None:
    here = {name.removeprefix("test_").split("_")[0] for name in globals() if name.startswith("test_")}
    assert set(all_exchanges()) - {"mexc", "kucoin"} <= here
