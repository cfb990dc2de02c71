"""What bots, client libraries and log files make of an exchange's answer is read as that answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bfai.diagnosis import explain_text
from bfai.exchanges import all_exchanges, get_exchange

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
    "piece",
    [*"[{\"'\\\nA</", '{"a":', "a=", '{"', "1 ", "<div", "<title>", "ip ", "api key ", '{"a":{', "{'a':"],
)
def test_no_text_takes_long(piece: str) -> None:
    """Time that grows with the square of the length would take minutes for these."""
    text = piece * (1_000_000 // len(piece))
    began = time.perf_counter()
    assert explain_text(text, all_exchanges().values()).diagnosis is not None
    assert time.perf_counter() - began < 20
