"""Nothing that looks like a secret leaves, and what a person needs to read stays."""

from __future__ import annotations

import time

import pytest

from bfai.transport import redact


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "BINANCE_KEY=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "?key=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        ("aBcD1234ef", "SECRET_BYBIT=aBcD1234efGH5678ijKL9012mnOP3456qrST"),
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "listenKey=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        (
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "wss://x/ws/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        ("4pf1prd5pd", "AccessKeyId=260ebfdc-409e7349-f28ca442-4pf1prd5pd"),
        ("hunter2x", '{\\"apiKey\\": \\"1aCcTlN99mhWp708Dw\\", \\"passphrase\\": \\"hunter2x\\"}'),
        ("1aCcTlN99mhWp708Dw", '{\\"apiKey\\": \\"1aCcTlN99mhWp708Dw\\", \\"passphrase\\": \\"hunter2x\\"}'),
        ("Phrase 9", "'passphrase': 'My Pass Phrase 9'"),
        ("b;c&d", "passphrase: 'a,b;c&d'"),
        ("ter2x", '"password": "hun\\"ter2x"'),
        ("a1b2", "password='a1b2'"),
        ("hunter2x", "('OK-ACCESS-PASSPHRASE', 'hunter2x')"),
        ("hunter2x", "--passphrase hunter2x"),
        ("hunter2x", "['--passphrase','hunter2x']"),
        ("hunter2x", "passphrase=b'hunter2x'"),
        ("hunter2x", '"passphrase" => "hunter2x"'),
        ("hunter2x", "passwd: hunter2x"),
        ("hunter2x", "OKX_PASS=hunter2x"),
        ("1aCcTlN99mhWp708Dw", "key: 1aCcTlN99mhWp708Dw"),
        ("1aCcTlN99mhWp708Dw", "auth ['1aCcTlN99mhWp708Dw', 1]"),
        ("ijk", "Authorization: Bearer abcdefgh.ijk"),
        ("abcdef", "api_secret=abcdef"),
        ("abcdefghij", "secret: str = 'abcdefghij'"),
        ("glABCdef", "mx0v ERROR key mx0vglABCdef123456 invalid"),
        ("0a1b2c3d4e", "X-BAPI-SIGN: 0a1b2c3d4e"),
        ("cd+ef", "KC-API-SIGN=ab/cd+ef=="),
        ("deadbeef", "signature=deadbeef&x=1"),
        ("short1", '{"apiKey":"short1"}'),
    ],
)
def test_a_secret_is_hidden_however_it_is_printed(secret: str, text: str) -> None:
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Signature: mismatch",
        "signature: invalid",
        "password: incorrect",
        "secret: missing",
        "Authorization: missing",
        "Invalid sign: please check",
        "apiKey=required",
        "10003_API_key_is_invalid_or_expired",
        "error-code-50113-invalid-signature",
        "BTC-USDT-SWAP-20240329-60000-C",
        "Invalid API-key, IP, or permissions for action.",
        "Invalid KC-API-PASSPHRASE",
        "https://api.binance.com/api/v3/account",
        "Unmatched IP, please check your API key's bound IP addresses.",
        "api key has expired",
        "Request header OK-ACCESS-KEY can not be empty.",
        "openApi/v1/account/apiRestrictions 203.0.113.7 1700000000000",
        "The API key does not exist or site mismatch.",
        "Api key info invalid",
        "Your IP 203.0.113.7 is not included in your API key's abc IP whitelist.",
    ],
)
def test_what_an_exchange_says_stays_readable(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["key ", "a", "key=", "'", "key='", "\\", "key\\", "-----BEGIN PRIVATE KEY", "A1", "key-", "/", "aB1/"]
)
def test_no_text_takes_long(piece: str) -> None:
    """Time that grows with the square of the length would take minutes."""
    began = time.perf_counter()
    redact(piece * (400_000 // len(piece)))
    assert time.perf_counter() - began < 10
