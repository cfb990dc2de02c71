"""A small program in Freqtrade's place, for whoever needs an engine that runs and holds something."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

_PROGRAM = """
    import json, os, sqlite3, time
    from pathlib import Path
    options = json.loads(Path("run.json").read_text())
    log = Path(options["log_config"]["handlers"]["file"]["filename"])
    log.write_text("Bot heartbeat. state=RUNNING\\nX-MEXC-APIKEY: mx0-test-key-AAAABBBBCCCC\\n")
    with sqlite3.connect("dry.sqlite") as book:
        book.executescript('''
            create table if not exists trades (id integer primary key, pair text, is_open int, is_short int,
              open_date text, close_date text, open_rate real, amount real, stake_amount real, leverage real,
              close_profit_abs real);
            create table if not exists orders (ft_trade_id integer, filled real, ft_is_open int, ft_order_side text);
            create table if not exists trade_custom_data (ft_trade_id integer, cd_key text, cd_value text);
            insert or ignore into trades values
              (1, 'BTC/USDT', 0, 0, '2026-01-01 00:00:00', '2026-01-02', 1, 1, 1, 1, 2.5),
              (2, 'BTC/USDT', 1, 0, '2026-01-03 04:05:06', null, 50000, 0.5, 25000, 1, null);
            delete from orders;
            insert into orders values (2, 0.25, 0, 'buy'), (2, 0.25, 0, 'buy');
        ''')
    book.close()
    Path("ready").touch()
    while not Path("ends").exists():
        time.sleep(0.05)
"""


def stand_in(folder: Path) -> Path:
    """The `python` of an environment in which "Freqtrade" holds one group of BTC/USDT and has closed another.

    It ends by itself when there is a file `ends` in its folder. For BFAI_FREQTRADE_PYTHON; a shell script.
    """
    program, python = folder / "stand_in.py", folder / "stand_in_python"
    program.write_text(textwrap.dedent(_PROGRAM))
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    return python
