# ruff: noqa: E501 - log lines as they are
"""What bots, client libraries and log files make of an exchange's answer is read as that answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bfai.diagnosis import sentence
from bfai.exchanges import all_exchanges, get_exchange
from bfai.explain import explain_text
from bfai.i18n import LANGUAGES, translator
from bfai.model import Cause, Diagnosis

LINES = [json.loads(line) for line in (Path(__file__).parent / "data/error_responses.jsonl").read_text().splitlines()]
REFUSALS = [line for line in LINES if line["exchange"] in all_exchanges() and (line["body"] or "").startswith("{")]


def printed(line: dict[str, Any]) -> Iterator[str]:
    """The same refusal as programs print it."""
    name, body = line["exchange"], line["body"]
    exchange, parsed = get_exchange(name), json.loads(body)
    code, words = exchange.error_code(parsed), exchange.error_words(parsed)
    host = next(iter(exchange.regions[0].hosts.values()))
    yield f"ccxt.base.errors.AuthenticationError: {name} {body}"
    yield f"2026-11-21 10:00:01,123 - freqtrade.worker - ERROR - {name} GET https://{host}/api/x 400 Bad Request {body}"
    yield f"{name}: {parsed}"
    yield f"""{name} error: "{body.replace('"', chr(92) + '"')}" """
    yield f'{name} request {{"apiKey":"abc","timestamp":1700000000000,"recvWindow":5000}} response {body}'
    yield f"{name.title()}APIException: [{code}] {words}"
    yield f"{name} exceptions.APIException(code={code}): {words}"
    yield f"{name} API error {code} {words}"


@pytest.mark.parametrize("line", REFUSALS, ids=lambda line: f"{line['exchange']}-{line['truth']}")
def test_a_refusal_is_known_however_it_is_printed(line: dict[str, Any]) -> None:
    for text in printed(line):
        found = explain_text(text, all_exchanges().values())
        assert found.diagnosis is not None, text
        assert found.diagnosis.cause in (line["truth"], *line.get("also_acceptable", [])), text
        assert found.exchange is get_exchange(line["exchange"]), text


@pytest.mark.parametrize(
    ("exchange", "causes", "text"),
    [
        (
            "binance",
            "ambiguous",
            "binance.error.ClientError: (401, -2015, 'Invalid API-key, IP, or permissions for action.', {})",
        ),
        ("binance", "ambiguous", "APIError(code=-2015): Invalid API-key, IP, or permissions for action."),
        ("okx", "invalid_key", "okx.exceptions.OkxAPIException: API Error(code=50111): Invalid OK-ACCESS-KEY"),
        ("okx", "invalid_secret", "{'msg': 'Invalid Sign', 'code': '50113'}"),
        ("okx", "invalid_passphrase", 'OKX: {"code": "50105", "msg": "Request header OK-ACCESS-PASSPHRASE incorrect."'),
        ("okx", "ip_not_allowed", r'"{\"msg\":\"Your IP 203.0.113.7 is not in the whitelist.\",\"code\":\"50110\"}"'),
        (
            "bybit",
            "invalid_key",
            "pybit InvalidRequestError: API key is invalid. (ErrCode: 10003) (ErrTime: 10:11:12).",
        ),
        ("bybit", "ip_not_allowed", "ErrCode: 10010 Unmatched IP, please check your API key's bound IP addresses."),
        ("gate", "invalid_key invalid_secret", "GateApiException, label: INVALID_KEY, message: Invalid key provided"),
        ("gate", "invalid_key", '(401) gate_api body: {"message":"Invalid key provided","label":"INVALID_KEY"}'),
        ("bitget", "invalid_key", "bitget 40006 Invalid ACCESS_KEY"),
        ("kucoin", "invalid_passphrase", 'kucoin 400-{"code":"400004","msg":"Invalid KC-API-PASSPHRASE"}'),
        ("kucoin", "invalid_key", "KucoinAPIException 400003: KC-API-KEY not exists"),
        (
            "htx",
            "ip_not_allowed",
            "HuobiApiException: api-signature-not-valid: Incorrect IP address [IP地址错误]:192.0.2.1",
        ),
        ("bingx", "invalid_key", "{'code': 100413, 'msg': 'Incorrect apiKey', 'timestamp': 1700000000000}"),
        (None, "ip_not_allowed", "Error: your IP is not in the whitelist"),
        (None, "invalid_secret", "Signature verification failed"),
        (None, "ambiguous", "Invalid API-key, IP, or permissions for action."),
        (None, "unexpected_response", "What a nice day"),
        (None, "unexpected_response", ""),
    ],
)
def test_what_libraries_print(exchange: str | None, causes: str, text: str) -> None:
    found = explain_text(text, all_exchanges().values())
    assert found.diagnosis is not None
    assert found.diagnosis.cause in causes.split()
    assert (found.exchange.id if found.exchange else None) == exchange


@pytest.mark.parametrize(
    ("exchange", "causes", "text"),
    [
        (
            "binance",
            "unexpected_response",
            'ccxt.base.errors.ExchangeError: binance POST https://api.binance.com/api/v3/order?timestamp=1&recvWindow=10000&signature=abc 400 Bad Request {"code":-1111,"msg":"Precision is over the maximum defined for this asset."}',
        ),
        (
            "bingx",
            "unexpected_response",
            'bingx GET https://open-api.bingx.com/x?timestamp=1&signature=abc {"code":100400,"msg":"Missing required parameter: symbol"}',
        ),
        (
            "htx",
            "exchange_unavailable local_network unexpected_response",
            "ccxt.base.errors.NetworkError: htx GET https://api.huobi.pro/v1/account?SignatureMethod=HmacSHA256&Signature=abc",
        ),
        (
            "binance",
            "unexpected_response",
            'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    create_order(\'BTC\', {\'recvWindow\': 5000, \'timestamp\': ts})\nccxt.base.errors.InsufficientFunds: binance {"code":-2010,"msg":"Account has insufficient balance for requested action."}',
        ),
        (
            "kucoin",
            "unexpected_response",
            '  File "x.py", line 3, in f\n    raise InvalidOrder("permission timestamp signature")\nkucoin {"code":"400100","msg":"Order size below the minimum"}',
        ),
        (
            "gate",
            "unexpected_response",
            'INFO permissions ok\nERROR gate: {"label":"BALANCE_NOT_ENOUGH","message":"Not enough balance"}',
        ),
        (
            "okx",
            "unexpected_response",
            '{"op":"auth","signature":"abc","passphrase":"x"}\nokx {"code":"51008","msg":"Order failed. Insufficient balance"}',
        ),
        (
            None,
            "unexpected_response",
            "  File \"a.py\", line 1, in x\n    signature = hmac.new(key)\nAttributeError: 'NoneType' object",
        ),
        ("bybit", "unexpected_response", "PermissionError: [Errno 13] Permission denied: '/var/log/bybit.log'"),
        (
            "bybit",
            "exchange_unavailable local_network",
            "# 10005 permission denied\nhttp.client.RemoteDisconnected: Remote end closed connection bybit",
        ),
        (
            "mexc",
            "exchange_unavailable local_network",
            '  File "a.py", line 3, in x\n    return {"code": 10072} # expected\nccxt.base.errors.RequestTimeout: mexc GET https://api.mexc.com/api/v3/time',
        ),
        ("kucoin", "exchange_unavailable local_network", "headers={'KC-API-PASSPHRASE': '***'}\nERROR read timeout"),
        (
            "okx",
            "exchange_unavailable local_network",
            "okx order 50102 placed\nccxt.base.errors.RequestTimeout: okx GET https://www.okx.com/x",
        ),
        ("bybit", "unexpected_response", "bybit order qty 10003"),
        ("bybit", "unexpected_response", "bybit price 10005 reached"),
        ("binance", "unexpected_response", "binance filled -1021 USDT"),
        ("kucoin", "unexpected_response", "kucoin balance 400003 USDT"),
        ("bitget", "unexpected_response", "bitget volume 40009"),
        (
            "bybit",
            "invalid_secret",
            'exchanges loaded: binance, bybit, okx\nERROR ccxt.base.errors.AuthenticationError: bybit {"retCode":10004,"retMsg":"error sign!"}',
        ),
        (
            "okx",
            "invalid_secret",
            "INFO pairs: gate, kucoin, mexc\nERROR okx.exceptions.OkxAPIException: API Error(code=50113): Invalid Sign",
        ),
        ("bybit", "invalid_key", '/home/u/binance-bot/x.py bybit {"retCode":10003,"retMsg":"API key is invalid."}'),
        ("mexc", "invalid_key", '/home/me/huobi-tools/run.py: mexc {"code":10072,"msg":"Api key info invalid"}'),
        ("kucoin", "invalid_key", "/opt/gate/worker.py KucoinAPIException 400003: KC-API-KEY not exists"),
        ("bybit", "invalid_key", 'opening the gate... bybit {"retCode":10003,"retMsg":"API key is invalid."}'),
        ("okx", "invalid_secret", '[binance→okx copier] okx: {"code":"50113","msg":"Invalid Sign"}'),
        (
            "binance",
            "ambiguous",
            "# kucoin, binance or okx\nbinance.exceptions.BinanceAPIException: APIError(code=-2015): Invalid API-key, IP, or permissions for action.",
        ),
        ("bybit", "rate_limited", "bybit: 10006 Too many visits!"),
    ],
)
def test_code_paths_numbers_and_other_names_are_no_causes(exchange: str | None, causes: str, text: str) -> None:
    """What stands around an error in a log: frames, comments, parameters, prices, the names of other exchanges."""
    test_what_libraries_print(exchange, causes, text)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("203.0.113.9", '10.0.0.5 bot: okx {"msg":"Your IP 203.0.113.9 is not in the IP whitelist.","code":"50110"}'),
        (
            "203.0.113.9",
            'gate (203.0.113.1) {"label":"IP_FORBIDDEN","message":"Request IP not in whitelist: 203.0.113.9"}',
        ),
        (None, "bybit 4.2.15.1 pybit ErrCode: 10010 Unmatched IP, please check"),
        ("8.8.4.4", "bybit ErrCode: 10010 your request ip 8.8.4.4 is unmatched"),
    ],
)
def test_the_address_to_add_is_the_one_that_the_exchange_saw(address: str | None, text: str) -> None:
    found = explain_text(text, all_exchanges().values()).diagnosis
    assert found is not None
    assert found.seen_ip == address


@pytest.mark.parametrize(
    "piece",
    [*"[{\"'\\\nA</", '{"a":', "a=", '{"', "1 ", "<div", "<title>", "ip ", "api key ", '{"a":{', "{'a':"],
)
def test_no_text_takes_long(piece: str) -> None:
    """Time that grows with the square of the length would take minutes for these."""
    text = piece * (1_000_000 // len(piece))
    began = time.perf_counter()
    assert explain_text(text, all_exchanges().values()).diagnosis is not None
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_remedy_without_a_known_exchange_has_sentences_of_its_own(language: str, cause: Cause) -> None:
    for seen in (None, "203.0.113.7"):
        message = sentence(Diagnosis(cause=cause, candidates=(cause,), seen_ip=seen), None)
        shown = translator(language).render(message)
        assert shown and "{" not in shown and "The exchange" not in shown[4:], shown
        assert language == "en" or shown != translator("en").render(message)
