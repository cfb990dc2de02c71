"""What people paste, and what is said about it before any call."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfai.exchanges import all_exchanges, get_exchange
from bfai.paste import MAX_PASTE, judge_fields, read_paste

MEXC_KEY, MEXC_SECRET = "mx0vABCDEFGH123456", "0123456789abcdef0123456789abcdef"
KU_KEY, KU_SECRET, KU_PASS = "6705f5c311545b000157d3eb", "01234567-89ab-cdef-0123-456789abcdef", "my-pass_1"


@pytest.mark.parametrize(
    "text",
    [
        f"{MEXC_KEY}\n{MEXC_SECRET}",
        f"{MEXC_SECRET} {MEXC_KEY}",
        f"Access Key\n{MEXC_KEY}\nSecret Key\n{MEXC_SECRET}\n",
        f"Access Key: {MEXC_KEY} Secret Key: {MEXC_SECRET}",
        f"Secret Key:{MEXC_SECRET}, API Key = '{MEXC_KEY}'",
        f'{{"apiKey": "{MEXC_KEY}", "secret": "{MEXC_SECRET}"}}',
        f"MEXC_API_KEY={MEXC_KEY}\nMEXC_SECRET={MEXC_SECRET}",
        f"\u200b{MEXC_KEY}\u00a0\u00a0{MEXC_SECRET}\ufeff",
        f"Notes: bot one\nAccess Key {MEXC_KEY}\nSecret Key {MEXC_SECRET}\nIP 203.0.113.7",
    ],
)
def test_mexc_in_any_order(text: str) -> None:
    pasted = read_paste(get_exchange("mexc"), text)
    assert pasted.credentials is not None, pasted
    assert (pasted.credentials.api_key, pasted.credentials.secret) == (MEXC_KEY, MEXC_SECRET)
    assert not pasted.problems
    assert not pasted.doubts


@pytest.mark.parametrize(
    "text",
    [
        f"{KU_KEY} {KU_SECRET} {KU_PASS}",
        f"API Passphrase: {KU_PASS}\nAPI Secret: {KU_SECRET}\nAPI Key: {KU_KEY}",
        f"Key {KU_KEY}\nSecret {KU_SECRET}\nPassphrase {KU_PASS}",
    ],
)
def test_kucoin_in_any_order(text: str) -> None:
    pasted = read_paste(get_exchange("kucoin"), text)
    assert pasted.credentials is not None, pasted
    assert pasted.credentials.fields() == {"api_key": KU_KEY, "secret": KU_SECRET, "passphrase": KU_PASS}


def test_what_is_missing_is_named() -> None:
    pasted = read_paste(get_exchange("kucoin"), f"{KU_KEY} {KU_SECRET}")
    assert pasted.credentials is None
    assert pasted.missing == ("passphrase",)
    assert [message.params["field"] for message in pasted.problems] == ["API Passphrase"]


def test_swapped_fields_are_noticed() -> None:
    pasted = judge_fields(get_exchange("mexc"), {"api_key": MEXC_SECRET, "secret": MEXC_KEY})
    assert pasted.credentials is None
    assert "swapped" in pasted.problems[0].text


def test_a_truncated_secret_is_noticed() -> None:
    cut = judge_fields(get_exchange("mexc"), {"api_key": MEXC_KEY, "secret": MEXC_SECRET[:20]})
    assert [message.params["field"] for message in cut.doubts] == ["Secret Key"]
    shortened = judge_fields(get_exchange("mexc"), {"api_key": MEXC_KEY, "secret": "0123…cdef"})
    assert shortened.credentials is None


def test_a_key_of_another_exchange_is_recognised() -> None:
    pasted = judge_fields(get_exchange("mexc"), {"api_key": KU_KEY, "secret": KU_SECRET}, all_exchanges().values())
    assert pasted.other_exchange == "kucoin"
    assert "KuCoin" in str(pasted.doubts[0].params)


def test_ten_megabytes_are_refused_at_once() -> None:
    assert read_paste(get_exchange("mexc"), "x" * 10_000_000).problems
    assert len("x" * MAX_PASTE) == MAX_PASTE


@given(st.text(max_size=300))
def test_junk_never_breaks_anything_and_never_shows(text: str) -> None:
    for exchange in all_exchanges().values():
        pasted = read_paste(exchange, text)
        assert pasted.credentials is not None or pasted.problems
        if len(text.strip()) > 20:
            assert text.strip() not in repr(pasted)


# -- private keys of several lines -------------------------------------------------------------------------------------


def _pem() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.derive_private_key(7, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


NAME = "organizations/00000000-1111-4222-8333-444444444444/apiKeys/55555555-6666-4777-8888-999999999999"


@pytest.mark.parametrize(
    "text",
    [
        f"{NAME}\n{_pem()}",
        f"API key name: {NAME}\nPrivate key:\n{_pem()}",
        json.dumps({"name": NAME, "privateKey": _pem()}),
        json.dumps({"name": NAME, "privateKey": _pem()}, indent=1),
        f"{NAME} " + _pem().replace("\n", "\\n"),
        f'"{NAME}", "' + _pem().replace("\n", "\\n") + '"',
        f"{NAME} " + _pem().replace("\n", "\r\n"),
        f"{NAME} " + _pem().replace("\n", ""),
        f"{NAME} " + _pem().replace("\n", " "),
    ],
    ids=["lines", "labels", "file", "pretty file", "escapes", "quoted", "windows", "one line", "blanks"],
)
def test_a_private_key_survives_every_way_of_copying(text: str) -> None:
    coinbase = get_exchange("coinbase")
    pasted = read_paste(coinbase, text)
    assert pasted.problems == ()
    assert pasted.credentials is not None
    sent = coinbase.normalise(pasted.credentials)
    assert (sent.api_key, sent.secret) == (NAME, _pem())


@pytest.mark.parametrize(
    "damage", [lambda pem: pem[:80], lambda pem: pem.replace("MHcC", "MHcD"), lambda pem: pem[30:]]
)
def test_half_a_private_key_is_told_before_any_call(damage: Callable[[str], str]) -> None:
    pasted = read_paste(get_exchange("coinbase"), json.dumps({"name": NAME, "privateKey": damage(_pem())}))
    assert pasted.credentials is None
    assert any("private key" in problem.text for problem in pasted.problems)


def test_an_ed25519_key_whose_end_is_damaged_is_told() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    raw = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    good = base64.b64encode(raw).decode()
    bad = base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()
    uuid = "55555555-6666-4777-8888-999999999999"
    assert read_paste(get_exchange("coinbase"), f"{uuid}\n{good}").credentials is not None
    assert read_paste(get_exchange("coinbase"), f"{uuid}\n{bad}").credentials is None
