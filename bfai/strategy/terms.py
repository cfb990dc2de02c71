"""What one account pays and must keep: its own fees for a pair, and maintenance margin that only a key may read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Self, cast

from bfai.exchanges import get_exchange
from bfai.exchanges.base import Answer, Fees, Role, Tier
from bfai.model import Credentials, Market, Target
from bfai.strategy.limits import FeesFrom, PairRules, tier_from, tier_json
from bfai.transport import Client, Transport

FORMAT = "bfai.terms/1"


@dataclass(frozen=True, slots=True)
class Terms:
    """None is what the exchange does not tell this key."""

    fees: Fees | None
    tiers: tuple[Tier, ...] | None

    def over(self, rules: PairRules) -> PairRules:
        """The rules of a pair with what holds for this account."""
        if self.fees is not None:
            rules = replace(rules, maker=self.fees.maker, taker=self.fees.taker, fees_from=FeesFrom.ACCOUNT)
        if self.tiers is None or rules.tiers is not None:
            return rules
        most = max((tier.max_leverage for tier in self.tiers if tier.max_leverage is not None), default=None)
        return replace(rules, tiers=self.tiers, max_leverage=rules.max_leverage or most)

    def to_json(self) -> dict[str, Any]:
        fees = None if self.fees is None else [str(self.fees.maker), str(self.fees.taker)]
        tiers = None if self.tiers is None else [tier_json(tier) for tier in self.tiers]
        return {"format": FORMAT, "fees": fees, "tiers": tiers}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Raises ValueError for anything else."""
        if stored.get("format") != FORMAT:
            raise ValueError(f"these are no {FORMAT}")
        try:
            told, tiers = stored["fees"], stored["tiers"]
            return cls(
                fees=None if told is None else Fees(*(Decimal(rate) for rate in cast("list[str]", told))),
                tiers=None if tiers is None else tuple(tier_from(row) for row in tiers),
            )
        except (KeyError, TypeError, InvalidOperation) as error:
            raise ValueError(f"these are no whole terms: {type(error).__name__}") from error


async def ask(
    transport: Transport, target: Target, credentials: Credentials, rules: PairRules, clock_offset_ms: float = 0.0
) -> Terms:
    """Asks the exchange, all calls at once. What is refused, unreadable or never told is None."""
    exchange = get_exchange(target.exchange)
    client = Client(transport, exchange, target, credentials, clock_offset_ms=clock_offset_ms)
    client.values.update(exchange.pair_values(rules.id))
    answers = await asyncio.gather(*(client.ask(call) for call in exchange.account_calls(target)))
    good = [answer for answer in answers if exchange.succeeded(answer)]

    def told(role: Role) -> list[Answer]:
        return [answer for answer in good if answer.role == role]

    fees = (exchange.read_fees(target.market, rules.quote, answer) for answer in told(Role.FEES))
    tiers = (exchange.read_tiers(answer) for answer in told(Role.TIERS))
    return Terms(
        fees=next((found for found in fees if found is not None), None),
        tiers=next((found for found in tiers if found is not None), None) if rules.market is Market.FUTURES else None,
    )
