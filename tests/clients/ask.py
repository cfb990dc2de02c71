"""Asks harmless questions through other people's exchange clients, used as their own documents show.

`ask.py CLIENT` reads a JSON list of credentials on stdin and prints, for each, an object that maps each call to what
the client gave, or to `{"refused": its own words}`. No call that places, changes or cancels anything stands here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Keys = Mapping[str, str]
Calls = dict[str, Callable[[], Any]]


def kucoin_universal_sdk(keys: Keys) -> Calls:
    from kucoin_universal_sdk.api import DefaultClient
    from kucoin_universal_sdk.generate.account.account import GetFuturesAccountReqBuilder, GetSpotAccountListReqBuilder
    from kucoin_universal_sdk.generate.account.fee import GetFuturesActualFeeReqBuilder, GetSpotActualFeeReqBuilder
    from kucoin_universal_sdk.generate.futures.order import GetOrderListReqBuilder
    from kucoin_universal_sdk.generate.futures.positions import GetPositionListReqBuilder
    from kucoin_universal_sdk.generate.spot.order import GetOpenOrdersReqBuilder
    from kucoin_universal_sdk.model import (
        GLOBAL_API_ENDPOINT,
        GLOBAL_FUTURES_API_ENDPOINT,
        ClientOptionBuilder,
        TransportOptionBuilder,
    )

    option = ClientOptionBuilder().set_key(keys["apiKey"]).set_secret(keys["secret"]).set_passphrase(keys["password"])
    option.set_spot_endpoint(GLOBAL_API_ENDPOINT).set_futures_endpoint(GLOBAL_FUTURES_API_ENDPOINT)
    option.set_transport_option(TransportOptionBuilder().build())
    rest = DefaultClient(option.build()).rest_service()
    account = rest.get_account_service().get_account_api()
    fees = rest.get_account_service().get_fee_api()
    spot, futures = rest.get_spot_service(), rest.get_futures_service()
    currency = GetFuturesAccountReqBuilder().set_currency("USDT").build()
    return {
        "spot time": lambda: spot.get_market_api().get_server_time().data,
        "spot service": lambda: spot.get_market_api().get_service_status().status.value,  # pyright: ignore[reportOptionalMemberAccess]
        "futures time": lambda: futures.get_market_api().get_server_time().data,
        "key": lambda: _plain(account.get_apikey_info()),
        "account": lambda: _plain(account.get_account_info()),
        "spot accounts": lambda: [
            _plain(row) for row in account.get_spot_account_list(GetSpotAccountListReqBuilder().build()).data or []
        ],
        "spot orders": lambda: (
            spot.get_order_api().get_open_orders(GetOpenOrdersReqBuilder().set_symbol("BTC-USDT").build()).data
        ),
        "spot fees": lambda: [
            _plain(row)
            for row in fees.get_spot_actual_fee(GetSpotActualFeeReqBuilder().set_symbols("BTC-USDT").build()).data or []
        ],
        "futures fees": lambda: _plain(
            fees.get_futures_actual_fee(GetFuturesActualFeeReqBuilder().set_symbol("XBTUSDTM").build())
        ),
        "futures account": lambda: _plain(account.get_futures_account(currency)),
        "futures orders": lambda: futures.get_order_api().get_order_list(GetOrderListReqBuilder().build()).items,
        "futures positions": lambda: (
            futures.get_positions_api().get_position_list(GetPositionListReqBuilder().build()).data
        ),
    }


def _plain(answer: Any) -> Any:
    return {name: value for name, value in answer.model_dump(mode="json").items() if name != "common_response"}


def mexc_api(keys: Keys) -> Calls:
    from mexc_api.spot import Spot

    spot = Spot(keys["apiKey"], keys["secret"])
    return {
        "time": spot.market.server_time,
        "account": spot.account.get_account_info,
        "orders": lambda: spot.account.get_open_orders("BTCUSDT"),
        "sub accounts": spot.subaccount.get_sub_accounts,
        "withdrawals": spot.wallet.get_withdrawal_history,
    }


def pymexc(keys: Keys) -> Calls:
    from pymexc import futures, spot

    contract = futures.HTTP(api_key=keys["apiKey"], api_secret=keys["secret"], ignore_ad=True)
    market = spot.HTTP(api_key=keys["apiKey"], api_secret=keys["secret"])
    return {
        "spot time": market.time,
        "spot account": market.account_information,
        "spot orders": lambda: market.current_open_orders("BTCUSDT"),
        "futures time": contract.ping,
        "futures assets": contract.assets,
        "futures asset": lambda: contract.asset("USDT"),
        "futures orders": lambda: contract.open_orders("BTC_USDT"),
        "futures positions": contract.open_positions,
        "futures fees": lambda: contract.tiered_fee_rate("BTC_USDT"),
    }


def ccxt_kucoin(keys: Keys) -> Calls:
    return _ccxt("kucoin", keys, "BTC/USDT")


def ccxt_kucoinfutures(keys: Keys) -> Calls:
    return _ccxt("kucoinfutures", keys, "BTC/USDT:USDT")


def ccxt_mexc(keys: Keys) -> Calls:
    return _ccxt("mexc", keys, "BTC/USDT")


def _ccxt(exchange: str, keys: Keys, symbol: str) -> Calls:
    import ccxt

    client = getattr(ccxt, exchange)(dict(keys))
    return {
        "time": client.fetch_time,
        "balance": lambda: client.fetch_balance()["total"],
        "orders": lambda: client.fetch_open_orders(symbol),
    }


def pybit(keys: Keys) -> Calls:
    from pybit.unified_trading import HTTP

    bybit: Any = HTTP(api_key=keys["apiKey"], api_secret=keys["secret"])
    order = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "28000"}
    return {
        "time": bybit.get_server_time,
        "key": lambda: bybit.get_api_key_information()["result"],
        "wallet": lambda: bybit.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"],
        "spot orders": lambda: bybit.get_open_orders(category="spot")["result"]["list"],
        "futures orders": lambda: bybit.get_open_orders(category="linear", settleCoin="USDT")["result"]["list"],
        "fees": lambda: bybit.get_fee_rates(category="linear", symbol="BTCUSDT")["result"]["list"],
        "order check": lambda: bybit.pre_check_order(category="linear", symbol="BTCUSDT", **order)["result"],
    }


def coinbase_advanced_py(keys: Keys) -> Calls:
    from coinbase.rest import RESTClient

    rest = RESTClient(api_key=keys["apiKey"], api_secret=keys["secret"])
    return {
        "time": lambda: rest.get_unix_time().to_dict(),
        "key": lambda: rest.get_api_key_permissions().to_dict(),
        "accounts": lambda: rest.get_accounts().to_dict()["accounts"],
        "orders": lambda: rest.list_orders(order_status=["OPEN"]).to_dict()["orders"],
        "futures": lambda: rest.get_futures_balance_summary().to_dict()["balance_summary"],
        "fees": lambda: rest.get_transaction_summary(product_type="SPOT").to_dict()["fee_tier"],
        "preview": lambda: rest.preview_limit_order_gtc_buy("BTC-USDT", "0.001", "60000").to_dict(),
    }


def ccxt_bybit(keys: Keys) -> Calls:
    return _ccxt("bybit", keys, "BTC/USDT")


def ccxt_bybit_futures(keys: Keys) -> Calls:
    return _ccxt("bybit", keys, "BTC/USDT:USDT")


def ccxt_coinbase(keys: Keys) -> Calls:
    return _ccxt("coinbase", keys, "BTC/USDT")


def python_okx(keys: Keys) -> Calls:
    from okx.Account import AccountAPI
    from okx.Funding import FundingAPI
    from okx.PublicData import PublicAPI
    from okx.Status import StatusAPI
    from okx.Trade import TradeAPI

    words = {"api_key": keys["apiKey"], "api_secret_key": keys["secret"], "passphrase": keys["password"]}
    named: dict[str, Any] = {**words, "flag": "0"}  # without it, demo trading
    account, trade, funding = AccountAPI(**named), TradeAPI(**named), FundingAPI(**named)
    return {
        "time": PublicAPI(flag="0").get_system_time,
        "status": StatusAPI(flag="0").status,
        "key": account.get_account_config,
        "balance": lambda: account.get_account_balance(ccy="BTC,USDT"),
        "positions": account.get_positions,
        "orders": lambda: trade.get_order_list(instType="SWAP"),
        "spot fees": lambda: account.get_fee_rates("SPOT", instId="BTC-USDT"),
        "futures fees": lambda: account.get_fee_rates("SWAP", instFamily="BTC-USDT"),
        "withdrawals": funding.get_withdrawal_history,
    }


def bitget_api_client(keys: Keys) -> Calls:
    return _bitget(
        keys,
        {
            "time": lambda client: client.spot.get_server_time(),
            "key": lambda client: client.spot.get_account_information(),
            "spot": lambda client: client.spot.get_account_assets(),
            "futures": lambda client: client.contract.get_account_list("USDT-FUTURES"),
            "spot fees": lambda client: client.common.get_trade_rate("BTCUSDT", "spot"),
            "futures fees": lambda client: client.common.get_trade_rate("BTCUSDT", "mix"),
            "spot orders": lambda client: client.spot.get_current_orders(),
            "futures orders": lambda client: client.contract.get_pending_orders("USDT-FUTURES"),
            "positions": lambda client: client.contract.get_all_positions("USDT-FUTURES", "USDT"),
        },
    )


def bitget_api_client_unified(keys: Keys) -> Calls:
    return _bitget(
        keys,
        {
            "settings": lambda client: client.uta.get_account_info(),
            "wallet": lambda client: client.uta.get_account_assets(),
            "orders": lambda client: client.uta.get_open_orders(category="USDT-FUTURES"),
        },
    )


def _bitget(keys: Keys, calls: Mapping[str, Callable[[Any], Any]]) -> Calls:
    import asyncio

    from bitget_api_client.client import BitgetApiClient

    async def given(call: Callable[[Any], Any]) -> Any:
        client = BitgetApiClient(keys["apiKey"], keys["secret"], keys["password"])
        try:
            return (await call(client))["data"]
        finally:
            await client.close()

    return {name: lambda call=call: asyncio.run(given(call)) for name, call in calls.items()}


def ccxt_okx(keys: Keys) -> Calls:
    return _ccxt("okx", keys, "BTC/USDT")


def ccxt_okx_futures(keys: Keys) -> Calls:
    return _ccxt("okx", keys, "BTC/USDT:USDT")


def ccxt_bitget(keys: Keys) -> Calls:
    return _ccxt("bitget", keys, "BTC/USDT")


def ccxt_bitget_futures(keys: Keys) -> Calls:
    return _ccxt("bitget", keys, "BTC/USDT:USDT")


def huobi_sdk(keys: Keys) -> Calls:
    from huobi.client.account import AccountClient
    from huobi.client.generic import GenericClient
    from huobi.client.subuser import SubuserClient
    from huobi.client.trade import TradeClient

    own = {"api_key": keys["apiKey"], "secret_key": keys["secret"]}
    account: Any = AccountClient(**own)
    users: Any = SubuserClient(**own)

    def spot() -> Any:
        return next(row.id for row in account.get_accounts() if row.type == "spot")

    return {
        "time": GenericClient().get_exchange_timestamp,
        "key": lambda: [vars(row) for row in users.get_user_apikey_info(keys["uid"], keys["apiKey"])],
        "accounts": lambda: [row.type for row in account.get_accounts()],
        "balance": lambda: [vars(row) for row in account.get_balance(spot())],
        "orders": lambda: TradeClient(**own).get_open_orders("btcusdt", spot()),
        "fees": lambda: [vars(row) for row in TradeClient(**own).get_transact_feerate("btcusdt")],
    }


def bingx_py(keys: Keys) -> Calls:
    from bingx_py import BingXClient

    bingx: Any = BingXClient(keys["apiKey"], keys["secret"], demo_trading="demo" in keys)
    bingx.connect()

    def key() -> Any:
        uid = bingx.sub_account.query_account_uid().data.uid
        return bingx.sub_account.query_sub_account_api_key(uid, keys["apiKey"]).model_dump()["data"]["api_infos"]

    return {
        "restrictions": lambda: bingx.query_api_key_restrictions().model_dump(),
        "permissions": lambda: bingx.query_api_key_permissions().model_dump(),
        "key": key,
        "spot": lambda: bingx.spot.query_assets().model_dump()["data"]["balances"],
        "spot orders": lambda: bingx.spot.current_open_orders().data.orders,
        "futures": lambda: bingx.swap.query_account_data().model_dump()["data"],
        "futures orders": lambda: bingx.swap.get_current_all_open_orders().data.orders,
        "spot fees": lambda: bingx.spot.query_trading_commission_rate("BTC-USDT").model_dump()["data"],
        "futures fees": lambda: bingx.swap.query_trading_commission_rate().model_dump()["data"],
        "tiers": lambda: bingx.swap.position_and_maintenance_margin_ratio("BTC-USDT").model_dump()["data"],
    }


def ccxt_htx(keys: Keys) -> Calls:
    return _ccxt("htx", keys, "BTC/USDT")


def ccxt_htx_futures(keys: Keys) -> Calls:
    swap: Any = {**keys, "options": {"defaultType": "swap"}}
    return _ccxt("htx", swap, "BTC/USDT:USDT")


def ccxt_bingx(keys: Keys) -> Calls:
    return _ccxt("bingx", keys, "BTC/USDT")


def ccxt_bingx_futures(keys: Keys) -> Calls:
    swap: Any = {**keys, "options": {"defaultType": "swap"}}
    return _ccxt("bingx", swap, "BTC/USDT:USDT")


def gate_api(keys: Keys) -> Calls:
    import gate_api as gate

    client: Any = gate.ApiClient(gate.Configuration(key=keys["apiKey"], secret=keys["secret"]))
    account: Any = gate.AccountApi(client)
    spot: Any = gate.SpotApi(client)
    futures: Any = gate.FuturesApi(client)
    wallet: Any = gate.WalletApi(client)
    unified: Any = gate.UnifiedApi(client)
    return {
        "time": lambda: spot.get_system_time().server_time,
        "detail": lambda: account.get_account_detail().to_dict(),
        "key": lambda: account.get_account_main_keys().to_dict(),
        "mode": lambda: unified.get_unified_mode().mode,
        "spot": lambda: [row.to_dict() for row in spot.list_spot_accounts()],
        "spot orders": lambda: spot.list_all_open_orders(limit=1),
        "futures": lambda: futures.list_futures_accounts("usdt").to_dict(),
        "futures orders": lambda: futures.list_futures_orders("usdt", "open", contract="BTC_USDT"),
        "positions": lambda: futures.list_positions("usdt"),
        "total": lambda: wallet.get_total_balance().to_dict()["total"],
        "fees": lambda: wallet.get_trade_fee(currency_pair="BTC_USDT").to_dict(),
        "spot fees": lambda: spot.get_fee(currency_pair="BTC_USDT").to_dict(),
        "futures fees": lambda: {
            name: fee.to_dict() for name, fee in futures.get_futures_fee("usdt", contract="BTC_USDT").items()
        },
        "withdrawals": wallet.list_withdrawals,
    }


def ccxt_gate(keys: Keys) -> Calls:
    return _ccxt("gate", keys, "BTC/USDT")


def ccxt_gate_futures(keys: Keys) -> Calls:
    swap: Any = {**keys, "options": {"defaultType": "swap"}}
    return _ccxt("gate", swap, "BTC/USDT:USDT")


def binance_sdk(keys: Keys) -> Calls:
    from binance_common.configuration import ConfigurationRestAPI
    from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
    from binance_sdk_spot import Spot
    from binance_sdk_wallet import Wallet

    proof = "private_key" if "PRIVATE KEY" in keys["secret"] else "api_secret"

    def own() -> Any:
        more: dict[str, Any] = {proof: keys["secret"]}
        return ConfigurationRestAPI(api_key=keys["apiKey"], **more)

    spot: Any = Spot(own()).rest_api
    wallet: Any = Wallet(own()).rest_api
    futures: Any = DerivativesTradingUsdsFutures(own()).rest_api
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "quantity": 0.001}
    calls = {
        "spot time": spot.time,
        "system status": wallet.system_status,
        "futures time": futures.check_server_time,
        "key": wallet.get_api_key_permission,
        "status": wallet.account_status,
        "trading status": wallet.account_api_trading_status,
        "withdrawals": wallet.withdraw_history,
        "spot": lambda: spot.get_account(omit_zero_balances=True),
        "spot orders": lambda: spot.get_open_orders("BTCUSDT"),
        "spot order test": lambda: spot.order_test(**order, price=10000.0),
        "futures": futures.futures_account_balance_v3,
        "futures account": futures.account_information_v3,
        "futures orders": futures.current_all_open_orders,
        "spot fees": lambda: spot.account_commission("BTCUSDT"),
        "futures fees": lambda: futures.user_commission_rate("BTCUSDT"),
        "tiers": lambda: futures.notional_and_leverage_brackets("BTCUSDT"),
        "futures order test": lambda: futures.test_order(**order, price=10000.0),
    }
    return {name: lambda call=call: _data(call().data()) for name, call in calls.items()}


def _data(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_data(row) for row in answer]
    plain = answer.to_dict()
    return _data(plain) if isinstance(plain, list) else plain


def ccxt_binance(keys: Keys) -> Calls:
    return _ccxt("binance", keys, "BTC/USDT")


def ccxt_binance_futures(keys: Keys) -> Calls:
    return _ccxt("binanceusdm", keys, "BTC/USDT:USDT")


def elsewhere(_: Keys) -> Calls:
    """A host that is not simulated: nothing may reach it."""
    from urllib.request import urlopen

    return {"page": lambda: urlopen("https://example.com", timeout=5).status}


def _ask(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    client = globals()[sys.argv[1]]
    asked = [{name: _ask(call) for name, call in client(keys).items()} for keys in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(asked, default=str))
