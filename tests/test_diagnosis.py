"""What an answer means, how several answers about one key are told as one cause, and what the trader is told to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bfai.diagnosis import (
    MAX_SAID,
    Section,
    Sure,
    address_in,
    by_rule,
    diagnose,
    first_rule,
    known_refusals,
    may_belong_elsewhere,
    merge,
    other_regions,
    remedy,
    sentence,
    words_of,
)
from bfai.exchanges import all_exchanges, get_exchange
from bfai.exchanges.base import Answer, ErrorRule, Exchange, Refusal, Role
from bfai.i18n import translator
from bfai.model import (
    Cause,
    CheckName,
    Diagnosis,
    Environment,
    KeyReport,
    Market,
    Message,
    Permission,
    Status,
    TestRun,
)
from tests.exchanges.common import call_of

BINANCE, BITGET, BYBIT = get_exchange("binance"), get_exchange("bitget"), get_exchange("bybit")
COINBASE, KUCOIN, MEXC, OKX = (get_exchange(name) for name in ("coinbase", "kucoin", "mexc", "okx"))
SEEN = "203.0.113.7"

UNAVAILABLE, LOCAL, UNEXPECTED = Cause.EXCHANGE_UNAVAILABLE, Cause.LOCAL_NETWORK, Cause.UNEXPECTED_RESPONSE
KEY, SECRET, EXPIRED, ADDRESS = Cause.INVALID_KEY, Cause.INVALID_SECRET, Cause.EXPIRED_KEY, Cause.IP_NOT_ALLOWED
PASSPHRASE, ELSEWHERE, LOCATION = Cause.INVALID_PASSPHRASE, Cause.WRONG_ENVIRONMENT, Cause.LOCATION_RESTRICTED
LIMITED, MISSING, RESTRICTED = Cause.RATE_LIMITED, Cause.PERMISSION_MISSING, Cause.ACCOUNT_RESTRICTED
AMBIGUOUS = Cause.AMBIGUOUS


def found(*candidates: Cause, cause: Cause | None = None, seen_ip: str | None = None) -> Diagnosis:
    return Diagnosis(cause=cause or candidates[0], candidates=candidates, seen_ip=seen_ip)


def lacking(permission: Permission | None) -> Diagnosis:
    return Diagnosis(cause=MISSING, candidates=(MISSING,), permission=permission)


def about_mode(cause: Cause = RESTRICTED, check: CheckName = CheckName.FUTURES) -> Diagnosis:
    return Diagnosis(cause=cause, candidates=(cause,), check=check)


def english(message: Message) -> str:
    return translator("en").render(message)


# -- one answer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport_error", "candidates"),
    [
        ("unsigned", (Cause.MALFORMED_CREDENTIALS, SECRET)),
        ("proxy", (LOCAL,)),
        ("tls", (LOCAL, UNAVAILABLE)),
        ("truncated", (UNEXPECTED, UNAVAILABLE, LOCAL)),
        ("protocol", (UNEXPECTED, UNAVAILABLE, LOCAL)),
        ("dns", (UNAVAILABLE, LOCAL)),
        ("connect_timeout", (UNAVAILABLE, LOCAL)),
    ],
)
def test_where_no_whole_answer_came_the_way_it_failed_is_judged(
    transport_error: str, candidates: tuple[Cause, ...]
) -> None:
    answer = Answer(transport_error=transport_error, error_text="x.example: no answer")
    assert diagnose(answer) == diagnose(answer, OKX) == found(*candidates)


def test_a_documented_success_is_no_failure_and_without_an_exchange_none_is_known() -> None:
    answer = Answer(role=Role.TIME, status=200, body='{"code":"0","msg":"","data":[{"ts":"1597026383085"}]}')
    assert diagnose(answer, OKX) is None
    assert diagnose(answer) is not None


@pytest.mark.parametrize(
    ("exchange", "status", "body", "sure", "candidates"),
    [
        # what the exchange documents
        (OKX, 401, '{"msg":"Your IP","code":"50110"}', Sure.DOCUMENTED, (ADDRESS,)),
        (KUCOIN, 401, '{"code":"1","msg":"IP not in the API whitelist"}', Sure.WORDS, (ADDRESS,)),
        (MEXC, 503, "<p>The system is in maintenance</p>", Sure.WORDS, (UNAVAILABLE,)),
        # what every network edge says, with a status or with words
        (None, 429, "", Sure.NETWORK_EDGE, (LIMITED,)),
        (OKX, 418, "", Sure.NETWORK_EDGE, (LIMITED,)),
        (OKX, 403, "error code: 1015", Sure.NETWORK_EDGE, (LIMITED,)),
        (None, 451, "", Sure.NETWORK_EDGE, (LOCATION,)),
        (None, 403, "It is set to block access from your country.", Sure.NETWORK_EDGE, (LOCATION, UNAVAILABLE)),
        (None, 200, "We are under maintenance", Sure.NETWORK_EDGE, (UNAVAILABLE,)),
        (OKX, 502, "<html>", Sure.NETWORK_EDGE, (UNAVAILABLE,)),
        # the sentence of an object
        (None, 400, '{"msg":"Signature does not match"}', Sure.SENTENCE, (SECRET, KEY)),
        (OKX, 400, '{"msg":"Signature does not match","code":"99"}', Sure.SENTENCE, (SECRET, KEY)),
        # the status alone
        (None, 403, "<html>", Sure.STATUS, (LOCATION, UNAVAILABLE, LIMITED)),
        (OKX, 401, "", Sure.STATUS, (KEY, SECRET, MISSING)),
        # nothing
        (None, 403, '{"msg":"What a nice day"}', Sure.SENTENCE, None),
        (OKX, 200, "<html>signature</html>", Sure.NOTHING, None),
        (None, 404, "", Sure.NOTHING, None),
    ],
)
def test_the_surest_sign_decides(
    exchange: Exchange | None, status: int, body: str, sure: Sure, candidates: tuple[Cause, ...] | None
) -> None:
    answer = Answer(status=status, body=body)
    how_sure, rule = first_rule(answer, exchange)
    assert (how_sure, rule.causes if rule else None) == (sure, candidates)
    diagnosis = diagnose(answer, exchange)
    assert diagnosis is not None
    assert diagnosis.candidates == (candidates or (UNEXPECTED, UNAVAILABLE, LOCAL))
    assert diagnosis.cause is (AMBIGUOUS if (sure, status) == (Sure.STATUS, 401) else diagnosis.candidates[0])


@pytest.mark.parametrize(
    ("body", "code", "prose", "sure", "candidates"),
    [
        ("okx says 50110", "50110", False, Sure.DOCUMENTED, (ADDRESS,)),
        ('{"code":"50113"}', "50110", False, Sure.DOCUMENTED, (ADDRESS,)),
        ('{"code":"50113"}', None, False, Sure.DOCUMENTED, (SECRET,)),
        ("Signature does not match", None, True, Sure.SENTENCE, (SECRET, KEY)),
        ("Signature does not match", None, False, Sure.STATUS, (LOCATION, UNAVAILABLE, LIMITED)),
        ("What a nice day", None, True, Sure.STATUS, (LOCATION, UNAVAILABLE, LIMITED)),
    ],
)
def test_codes_and_sentences_outside_of_json_count_where_the_caller_says_so(
    body: str, code: str | None, prose: bool, sure: Sure, candidates: tuple[Cause, ...]
) -> None:
    how_sure, rule = first_rule(Answer(status=403, body=body), OKX, code=code, prose=prose)
    assert rule is not None
    assert (how_sure, rule.causes) == (sure, candidates)


@pytest.mark.parametrize(
    ("rule", "permission"),
    [
        (ErrorRule((MISSING,)), Permission.SPOT_TRADE),
        (ErrorRule((MISSING,), permission=Permission.READ), Permission.READ),
        (ErrorRule((MISSING, RESTRICTED), permission=Permission.WITHDRAW), None),
        (ErrorRule((RESTRICTED, MISSING), permission=Permission.READ), None),
    ],
)
def test_the_missing_right_is_the_rules_own_or_that_of_the_call_and_never_withdrawal(
    rule: ErrorRule, permission: Permission | None
) -> None:
    answer = Answer(status=400, call=call_of(MEXC, Role.DRY_RUN))
    assert by_rule(rule, answer, None).permission is permission


def test_a_refused_call_without_a_declaration_names_no_right() -> None:
    assert by_rule(ErrorRule((MISSING,)), Answer(status=400), None).permission is None


@pytest.mark.parametrize(
    ("rule", "seen_ip", "wait"),
    [
        (ErrorRule((ADDRESS,)), SEEN, None),
        (ErrorRule((KEY, ADDRESS), clear=False), SEEN, None),
        (ErrorRule((KEY,)), None, None),
        (ErrorRule((LIMITED,)), None, 17.0),
        (ErrorRule((LOCATION, LIMITED)), None, None),
    ],
)
def test_address_and_time_to_wait_are_told_with_the_causes_that_they_belong_to(
    rule: ErrorRule, seen_ip: str | None, wait: float | None
) -> None:
    answer = Answer(status=403, headers={"Retry-After": "17"}, body=f"Not for {SEEN}")
    diagnosis = by_rule(rule, answer, "said")
    assert (diagnosis.seen_ip, diagnosis.retry_after_s) == (seen_ip, wait)
    assert (diagnosis.exchange_said, diagnosis.candidates) == ("said", rule.causes)
    assert diagnosis.cause is (rule.causes[0] if rule.clear else AMBIGUOUS)


def test_what_no_rule_knows_keeps_the_words_of_the_exchange() -> None:
    assert by_rule(None, Answer(status=200), "Nice day").exchange_said == "Nice day"


@pytest.mark.parametrize(
    ("exchange", "body", "said"),
    [
        (OKX, '{"msg":"Invalid Sign","code":"50113"}', "50113 Invalid Sign"),
        (OKX, '{"msg":"Invalid Sign"}', "Invalid Sign"),
        (OKX, '{"code":"50113"}', "50113"),
        (OKX, '{"data":[]}', "the program's own words"),
        (None, '{"msg":"Novelty","at":1.5}', '{"msg": "Novelty", "at": "1.5"}'),
        (OKX, "<html><TITLE>Access\n  denied</Title><h1>Sorry</h1></html>", "Access denied"),
        (None, '<h1 class="big">Sorry</h1> for this', "Sorry"),
        (None, "<title>Access</h1><b>denied</b>", "Access denied"),
        (OKX, "<title></title>", "the program's own words"),
        (OKX, "Forbidden\u202e\x00", "Forbidden"),
        (OKX, "", "the program's own words"),
        (OKX, " " * 20_000 + "<title>too far</title>", None),
        (None, "n" * 20_001, "n" * (MAX_SAID - 1) + "…"),
        (OKX, "n " * (MAX_SAID // 2), "n " * (MAX_SAID // 2 - 1) + "n"),
        (OKX, "!" * MAX_SAID, "!" * MAX_SAID),
        (OKX, "!" * (MAX_SAID + 1), "!" * (MAX_SAID - 1) + "…"),
    ],
)
def test_the_words_of_the_exchange_are_short_and_on_one_line(
    exchange: Exchange | None, body: str, said: str | None
) -> None:
    answer = Answer(status=400, body=body, error_text="the program's own words")
    assert words_of(answer, exchange, ()) == said


def test_an_answer_without_words_says_nothing() -> None:
    assert words_of(Answer(status=400), OKX, ()) is None


@pytest.mark.parametrize(
    ("exchange", "body"),
    [
        (OKX, '{"code":"50113","msg":"no such thing: tulip"}'),
        (None, '{"said":"no such thing: tulip"}'),
        (OKX, "<title>no such thing: tulip</title>"),
    ],
)
def test_no_secret_is_among_the_words(exchange: Exchange | None, body: str) -> None:
    diagnosis = diagnose(Answer(status=400, body=body), exchange, secrets=("tulip",))
    assert diagnosis is not None
    assert diagnosis.exchange_said is not None
    assert "no such thing" in diagnosis.exchange_said
    assert "tulip" not in diagnosis.exchange_said


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Request IP not in whitelist: 203.0.113.7", SEEN),
        ("Your IP is 203.0.113.7.", SEEN),
        ("from:203.0.113.7:", SEEN),
        ("...203.0.113.7...", SEEN),
        ("[203.0.113.7] or 198.51.100.1", SEEN),
        ("at 10:15:30 of 1.2.3 by 1.2.3.4.5 you came from 203.0.113.7", SEEN),
        ("0.0.0.0 :: 203.0.113.7", SEEN),
        ("the current clientIp is:2001:DB8::7", "2001:db8::7"),
        ("Your IP is 2001:db8::7.", "2001:db8::7"),
        ("fe80::7", "fe80::7"),
        ("Your IP is ::ffff:203.0.113.7", SEEN),
        ("Your IP is ::ffff:203.0.113.7.", SEEN),
        ("the current clientIp is:::ffff:203.0.113.7.", SEEN),
        ("::ffff:0.0.0.0", None),
        ("2001:db8::", "2001:db8::"),
        ("Address not allowed:2001:db8::7", "2001:db8::7"),
        ("IP203.0.113.7", SEEN),
        ("1203.0.113.7", None),
        pytest.param("a" * 1_000_000 + f" {SEEN}", SEEN, id="behind what would take hours if it were read twice"),
        ("Unmatched IP at 10:15 of 1.2.3", None),
        ("0.0.0.0", None),
        ("", None),
    ],
)
def test_the_first_address_in_a_refusal_is_the_one_that_was_seen(text: str, address: str | None) -> None:
    assert address_in(text) == address


# -- many answers about one key ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusals", "cause", "candidates"),
    [
        ([found(KEY, EXPIRED)], KEY, (KEY, EXPIRED)),
        ([found(LIMITED), found(KEY, EXPIRED)], KEY, (KEY, EXPIRED)),
        ([found(UNAVAILABLE, LOCAL), found(LIMITED)], LIMITED, (LIMITED,)),
        ([found(KEY, ELSEWHERE, EXPIRED), found(SECRET, EXPIRED, KEY)], KEY, (KEY, EXPIRED)),
        ([found(KEY, ELSEWHERE, EXPIRED), found(ELSEWHERE, EXPIRED, SECRET)], ELSEWHERE, (ELSEWHERE, EXPIRED)),
        ([found(KEY, EXPIRED, SECRET), found(EXPIRED, KEY)], EXPIRED, (EXPIRED, KEY)),
        ([found(KEY, EXPIRED), found(ADDRESS)], ADDRESS, (ADDRESS,)),
        ([found(KEY, EXPIRED), found(SECRET, PASSPHRASE)], KEY, (KEY, EXPIRED)),
        (
            [found(KEY, ADDRESS, MISSING, cause=AMBIGUOUS), found(EXPIRED, ADDRESS, KEY)],
            AMBIGUOUS,
            (KEY, ADDRESS),
        ),
        (
            [found(KEY, ADDRESS, MISSING, cause=AMBIGUOUS), found(EXPIRED, ADDRESS, SECRET)],
            ADDRESS,
            (ADDRESS,),
        ),
        ([found(KEY, SECRET, cause=AMBIGUOUS), found(SECRET, KEY, EXPIRED)], AMBIGUOUS, (KEY, SECRET)),
        ([found(EXPIRED, KEY, SECRET, cause=SECRET), found(ADDRESS, SECRET, KEY)], SECRET, (KEY, SECRET)),
    ],
)
def test_several_refusals_mean_what_all_of_them_allow(
    refusals: list[Diagnosis], cause: Cause, candidates: tuple[Cause, ...]
) -> None:
    merged = merge(refusals)
    assert (merged.cause, merged.candidates) == (cause, candidates)
    assert merged.seen_ip is None


@pytest.mark.parametrize("others", [(KEY, EXPIRED), (KEY, ADDRESS, SECRET), (LIMITED,)])
def test_an_address_that_one_refusal_tells_is_kept(others: tuple[Cause, ...]) -> None:
    silent = found(KEY, ADDRESS, MISSING, cause=AMBIGUOUS)
    assert merge([silent, found(*others), found(*others, seen_ip=SEEN)]).seen_ip == SEEN
    own = found(ADDRESS, seen_ip=SEEN)
    assert merge([found(*others, seen_ip="198.51.100.1"), own]) == own


# -- other regions -----------------------------------------------------------------------------------------------------


def run_at(exchange: Exchange, region: str, diagnosis: Diagnosis | None) -> TestRun:
    return TestRun(
        id="run",
        exchange=exchange.id,
        region=region,
        environment=Environment.LIVE,
        market=Market.SPOT,
        status=Status.FAILED,
        diagnosis=diagnosis,
        started_at=datetime(2026, 11, 21, 9, tzinfo=UTC),
        duration_ms=300.0,
    )


@pytest.mark.parametrize(
    ("exchange", "region", "diagnosis", "hosts"),
    [
        (OKX, "global", found(KEY), ("eea.okx.com", "us.okx.com")),
        (OKX, "us", found(KEY), ("www.okx.com", "eea.okx.com")),
        (OKX, "eea", found(EXPIRED, ELSEWHERE), ("www.okx.com", "us.okx.com")),
        (BINANCE, "us", found(KEY), ("api.binance.com",)),
        (KUCOIN, "eu", found(KEY), ("api.kucoin.com",)),
        (MEXC, "global", found(KEY), ()),
        (OKX, "global", found(SECRET), ()),
        (OKX, "global", None, ()),
        (OKX, "global", found(KEY).model_copy(update={"region": "us"}), ()),
    ],
)
def test_the_hosts_that_may_know_the_key_are_those_of_the_other_regions(
    exchange: Exchange, region: str, diagnosis: Diagnosis | None, hosts: tuple[str, ...]
) -> None:
    assert other_regions(run_at(exchange, region, diagnosis), exchange) == hosts


def test_only_hosts_that_report_on_keys_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    live, us = BINANCE.regions
    silent = replace(us, id="silent", hosts={"spot": "spot.binance.example"})
    told = replace(us, hosts={"spot": "spot.binance.us", "wallet": "wallet.binance.us"})
    monkeypatch.setattr(BINANCE, "regions", (live, silent, told), raising=False)
    assert other_regions(run_at(BINANCE, "global", found(KEY)), BINANCE) == ("wallet.binance.us",)


@pytest.mark.parametrize(
    ("candidates", "elsewhere"),
    [((KEY,), True), ((SECRET, ELSEWHERE), True), ((SECRET, EXPIRED), False), ((UNAVAILABLE,), False)],
)
def test_a_key_that_is_not_known_may_belong_elsewhere(candidates: tuple[Cause, ...], elsewhere: bool) -> None:
    assert may_belong_elsewhere(found(*candidates)) is elsewhere


# -- the guide's refusals ----------------------------------------------------------------------------------------------


def test_the_refusals_of_a_guide_are_judged_as_those_of_a_test_are(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = OKX.guide.refusals[0].hint
    refusals = (
        Refusal(200, '{"code":"0","msg":"","data":[]}'),
        Refusal(429, ""),
        Refusal(401, '{"msg":"API key doesn\'t exist","code":"50119"}', hint),
        Refusal(401, f'{{"msg":"Your IP {SEEN} is not included","code":"50110"}}'),
        Refusal(401, '{"msg":"No permission","code":"50120"}'),
    )
    monkeypatch.setattr(OKX, "guide", replace(OKX.guide, refusals=refusals), raising=False)
    limited, unknown, foreign, missing = known_refusals(OKX, Market.FUTURES)
    assert (limited.said, limited.cause) == ("", LIMITED)
    assert limited.text == sentence(found(LIMITED), OKX)
    assert (unknown.said, unknown.cause) == ("50119 API key doesn't exist", KEY)
    assert unknown.text == Message(text=hint, params={"exchange": "OKX"})
    assert (foreign.said, foreign.cause) == (f"50110 Your IP {SEEN} is not included", ADDRESS)
    assert foreign.text == sentence(found(ADDRESS), OKX), "the address of an example is nobody's"
    assert missing.cause is MISSING


@pytest.mark.parametrize(
    ("market", "boxes"),
    [
        (Market.SPOT, "Spot: View Account Details\nSpot: View Order Details"),
        (Market.FUTURES, "Spot: View Account Details\nFutures: View Account Details\nFutures: View Order Details"),
    ],
)
def test_a_refusal_of_the_guide_names_the_boxes_of_its_market(
    market: Market, boxes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Refusal(200, '{"success":false,"code":701,"message":"No permission"}')
    monkeypatch.setattr(MEXC, "guide", replace(MEXC.guide, refusals=(refusal,)), raising=False)
    (known,) = known_refusals(MEXC, market)
    assert known.text.params["q_boxes"] == boxes


# -- the remedy in a sentence ------------------------------------------------------------------------------------------


def report(*words: str) -> KeyReport:
    return KeyReport(words=words)


@pytest.mark.parametrize(
    ("diagnosis", "exchange", "said"),
    [
        (found(ADDRESS, seen_ip=SEEN), OKX, f"OKX saw {SEEN}, which is not on this key's list."),
        (found(ADDRESS), OKX, "Add the address that OKX saw to the key's list"),
        (found(KEY, ADDRESS, seen_ip=SEEN), OKX, "Copy the key again from OKX"),
        (found(ADDRESS, seen_ip=SEEN), None, f"The exchange saw {SEEN}, which is not on this key's list."),
        (found(ADDRESS), None, "Add the address that the exchange saw to the key's list"),
        (found(KEY, seen_ip=SEEN), None, "Copy the key again from the exchange"),
        (found(Cause.CLOCK_SKEW), None, "Set this computer's clock by the internet"),
        (about_mode(), OKX, "This OKX account is set to a mode without futures."),
        (about_mode(check=CheckName.STATUS), OKX, "Log in at OKX and read what it asks of you"),
        (about_mode(cause=KEY), OKX, "Copy the key again from OKX"),
        (found(ELSEWHERE).model_copy(update={"region": "eea"}), OKX, "This key was made at OKX EEA."),
        (found(ELSEWHERE), OKX, "Choose the region or environment in which the key was made."),
        (
            lacking(Permission.READ).model_copy(update={"cause": AMBIGUOUS, "candidates": (MISSING, KEY)}),
            OKX,
            "OKX refuses and does not say why.",
        ),
    ],
)
def test_one_sentence_says_what_to_do(diagnosis: Diagnosis, exchange: Exchange | None, said: str) -> None:
    assert english(sentence(diagnosis, exchange)).startswith(said)


@pytest.mark.parametrize(
    ("exchange", "permission", "market", "words", "boxes"),
    [
        # without a report: every box that gives the right, or for reading those that this market needs
        (MEXC, Permission.SPOT_TRADE, Market.SPOT, None, ["Spot: Trade"]),
        (MEXC, Permission.SPOT_TRADE, Market.SPOT, (), ["Spot: Trade"]),
        (MEXC, Permission.READ, Market.SPOT, None, ["Spot: View Account Details", "Spot: View Order Details"]),
        (BITGET, Permission.READ, Market.SPOT, None, ["UTA management (unified account)"]),
        (BYBIT, Permission.FUTURES_TRADE, Market.SPOT, None, ["Unified Trading: Orders", "Unified Trading"]),
        (COINBASE, Permission.READ, Market.FUTURES, None, []),
        # with one: exactly what it lacks
        (MEXC, Permission.READ, Market.SPOT, ("SPOT_ACCOUNT_R",), ["Spot: View Order Details", "Spot: Trade"]),
        (KUCOIN, Permission.FUTURES_TRADE, Market.FUTURES, ("General", "Spot"), ["Futures Trading"]),
        (KUCOIN, Permission.FUTURES_TRADE, Market.FUTURES, ("Novelty",), ["General", "Futures Trading"]),
        (KUCOIN, Permission.SPOT_TRADE, Market.SPOT, ("General", "Spot"), ["Spot Trading"]),
        (BITGET, Permission.SPOT_TRADE, Market.SPOT, ("stor",), ["Spot"]),
        (BITGET, Permission.SPOT_TRADE, Market.SPOT, ("uta_mgt",), ["UTA trade (unified account)"]),
        (
            BITGET,
            Permission.FUTURES_TRADE,
            Market.FUTURES,
            ("Novelty",),
            ["Futures orders", "Futures holdings", "UTA management (unified account)", "UTA trade (unified account)"],
        ),
        # where the right itself is not known there are no boxes to name
        (MEXC, None, Market.SPOT, ("SPOT_ACCOUNT_R",), []),
    ],
)
def test_the_boxes_to_tick_are_the_missing_ones(
    exchange: Exchange, permission: Permission | None, market: Market, words: tuple[str, ...] | None, boxes: list[str]
) -> None:
    told = None if words is None else report(*words)
    message = sentence(lacking(permission), exchange, market, told)
    shown = remedy(lacking(permission), exchange, market, told, stored=True)
    if boxes:
        assert message.params == {"exchange": exchange.name, "q_boxes": "\n".join(boxes)}
        assert shown.steps[1].params == message.params
        assert english(shown.steps[1]).startswith("Tick “")
    else:
        assert "Tick the missing box of this key" in message.text
        assert shown.steps[1].text.startswith("Tick the missing box.")


def test_a_box_of_every_kind_of_account_is_among_the_missing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    common = tuple(replace(right, kind="") if right.word == "cpow" else right for right in BITGET.rights)
    monkeypatch.setattr(BITGET, "rights", common, raising=False)
    message = sentence(lacking(Permission.FUTURES_TRADE), BITGET, Market.FUTURES, report("uta_mgt"))
    assert message.params["q_boxes"] == "Futures holdings\nUTA trade (unified account)"


# -- the remedy on the page --------------------------------------------------------------------------------------------

COPY_AGAIN = ("Copy the key and the secret again", "Is the secret no longer shown?", "Test again.")
EDIT = "Open the key at OKX and choose Edit."


@pytest.mark.parametrize(
    ("diagnosis", "stored", "title", "text", "steps"),
    [
        (found(KEY), False, "OKX does not know this key", "Copy the key again", COPY_AGAIN),
        (found(SECRET), True, "The secret does not fit the key", "Paste the secret again", COPY_AGAIN),
        (
            found(Cause.MALFORMED_CREDENTIALS),
            False,
            "These are not a whole key and secret",
            "Copy key and secret again",
            COPY_AGAIN,
        ),
        (
            found(PASSPHRASE),
            False,
            "The passphrase does not fit the key",
            "Type the passphrase that you chose",
            ("Type the passphrase again.", "Paste the secret again as well: OKX checks", "Passphrase forgotten?"),
        ),
        (
            found(Cause.WITHDRAW_ENABLED),
            True,
            "This key can withdraw your money.",
            "OKX lists the right to withdraw. No strategy can use this connection",
            (EDIT, "Take the tick away from “Withdraw” and", "Test again here."),
        ),
        (
            found(Cause.WITHDRAW_ENABLED),
            False,
            "This key can withdraw your money.",
            "OKX lists the right to withdraw. The key was refused: nothing was saved",
            (EDIT, "Take the tick away from “Withdraw” and", "Test again here."),
        ),
        (
            found(Cause.WITHDRAW_UNKNOWN),
            True,
            "OKX does not tell whether this key can withdraw.",
            "Only you can see it.",
            ("Open the key's page at OKX.", "Is “Withdraw” empty?", "Is it ticked?"),
        ),
        (
            found(ADDRESS, seen_ip=SEEN),
            True,
            "OKX does not accept your address",
            "The key is bound to a list of addresses. The one that OKX saw is not on it:",
            (EDIT, "Add this address", "Test again.", "Is the key for a bot on a server? Leave its list as it is, and"),
        ),
        (
            found(ADDRESS),
            False,
            "OKX does not accept your address",
            "The key is bound to a list of addresses, and yours is not on it. OKX does not say",
            (
                EDIT,
                "Add this address",
                "Test again.",
                "Is the key for a bot on a server? Leave its list as it is, save the connection, then",
            ),
        ),
        (
            lacking(Permission.READ),
            True,
            "The key may not read",
            "Tick “Read” of this key at OKX.",
            (EDIT, "Tick “Read”. Leave", "Test again."),
        ),
        (
            lacking(Permission.SPOT_TRADE),
            True,
            "No trading permission",
            "Tick “Trade” of this key",
            (EDIT, "Tick “Trade”. Leave", "Test again."),
        ),
        (
            lacking(Permission.MARGIN),
            True,
            "The key lacks a right",
            "Tick “Trade” of this key",
            (EDIT, "Tick “Trade”. Leave", "Test again."),
        ),
        (
            lacking(None),
            True,
            "The key lacks a right",
            "Tick the missing box of this key at OKX.",
            (EDIT, "Tick the missing box. Leave", "Test again."),
        ),
        (
            about_mode(),
            True,
            "This account trades no futures",
            "This OKX account is set to a mode without futures.",
            ("Log in at OKX and open", "Choose an account mode that has futures.", "Test again."),
        ),
        (
            about_mode(check=CheckName.STATUS),
            True,
            "OKX has restricted this account",
            "Log in at OKX and read what it asks of you",
            (),
        ),
        (
            found(KEY, ADDRESS, AMBIGUOUS, cause=AMBIGUOUS),
            True,
            "OKX refuses this key and does not say why.",
            "OKX refuses and does not say why.",
            ("Copy the key again from OKX", "Add the address that OKX saw"),
        ),
        (found(EXPIRED), True, "This key has expired", "Make a new key at OKX and rotate it here.", ()),
        (found(LIMITED), True, "OKX asks us to slow down", "Wait a little, then test again.", ()),
    ],
)
def test_the_page_says_what_is_wrong_and_what_to_do(
    diagnosis: Diagnosis, stored: bool, title: str, text: str, steps: tuple[str, ...]
) -> None:
    shown = remedy(diagnosis, OKX, Market.SPOT, None, stored=stored)
    assert english(shown.title) == title
    assert english(shown.text).startswith(text)
    assert len(shown.steps) == len(steps)
    for step, begins in zip(shown.steps, steps, strict=True):
        assert english(step).startswith(begins)
    assert shown.value == diagnosis.seen_ip


@pytest.mark.parametrize("exchange", all_exchanges().values(), ids=lambda exchange: exchange.id)
@pytest.mark.parametrize("cause", Cause)
def test_every_sentence_of_a_remedy_is_translated_and_filled(cause: Cause, exchange: Exchange) -> None:
    variants = (
        Diagnosis(cause=cause, candidates=(cause, KEY, SECRET), exchange_said="so", check=CheckName.FUTURES),
        Diagnosis(cause=cause, candidates=(cause,), permission=Permission.SPOT_TRADE, seen_ip=SEEN),
        Diagnosis(cause=cause, candidates=(cause,), region=exchange.regions[0].id),
    )
    for diagnosis in variants:
        for stored in (False, True):
            shown = remedy(diagnosis, exchange, exchange.markets[0], None, stored=stored)
            for message in (shown.title, shown.text, *shown.steps, sentence(diagnosis, exchange)):
                assert "{" not in english(message)
                assert translator("de").render(message) != english(message)


@pytest.mark.parametrize("cause", Cause)
def test_severity_link_and_section_follow_from_the_cause(cause: Cause) -> None:
    diagnosis = Diagnosis(cause=cause, candidates=(cause,), exchange_said="so")
    shown = remedy(diagnosis, OKX, Market.SPOT, None, stored=True)
    about_withdrawal = cause in (Cause.WITHDRAW_ENABLED, Cause.WITHDRAW_UNKNOWN)
    assert shown.severity is (Status.BLOCKED if about_withdrawal else Status.FAILED)
    assert shown.link == (None if cause.passes_by_itself else "https://www.okx.com/account/my-api")
    assert shown.said == "so"
    assert shown.value is None
    boxes = about_withdrawal or cause is MISSING
    sections = {ADDRESS: Section.ADDRESS, EXPIRED: Section.LIFE, PASSPHRASE: Section.STEPS}
    sections |= {Cause.MALFORMED_CREDENTIALS: Section.STEPS}
    assert shown.section is (Section.BOXES if boxes else sections.get(cause, Section.REFUSALS))
    assert shown.wait_s == {LIMITED: 30.0, UNAVAILABLE: 20.0}.get(cause)


def test_how_long_to_wait_is_what_the_exchange_asks_for() -> None:
    limited = Diagnosis(cause=LIMITED, candidates=(LIMITED,), retry_after_s=7.0)
    assert remedy(limited, OKX, Market.SPOT, None, stored=True).wait_s == 7.0


def test_all_boxes_that_let_a_key_withdraw_are_named_each_in_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    more = replace(next(right for right in OKX.rights if right.word == "withdraw"), word="pay", box="Pay")
    monkeypatch.setattr(OKX, "rights", (*OKX.rights, more), raising=False)
    for cause in (Cause.WITHDRAW_ENABLED, Cause.WITHDRAW_UNKNOWN):
        shown = remedy(found(cause), OKX, Market.SPOT, None, stored=True)
        assert "“Withdraw”, “Pay”" in english(shown.steps[1])


def test_the_report_and_the_market_decide_which_boxes_the_page_names() -> None:
    told = report("SPOT_ACCOUNT_READ", "SPOT_DEAL_READ")
    shown = remedy(lacking(Permission.READ), MEXC, Market.FUTURES, told, stored=True)
    boxes = "“Futures: View Account Details”, “Futures: View Order Details”, “Futures: Trade”"
    assert english(shown.steps[1]).startswith(f"Tick {boxes}.")
    assert english(shown.text).startswith(f"Tick {boxes} of this key at MEXC.")


def test_an_object_of_unknown_words_is_kept_as_it_is_shown() -> None:
    body = {"warning": "Novelty"}
    diagnosis = diagnose(Answer(status=400, body=json.dumps(body)))
    assert diagnosis is not None
    assert diagnosis.exchange_said == json.dumps(body)
