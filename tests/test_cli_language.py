"""The command line's help in the reader's language."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bfai.cli import main
from bfai.i18n import LANGUAGES, translator


def every(command: click.Command) -> list[click.Command]:
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return [command, *(deeper for one in below for deeper in every(one))]


@pytest.mark.parametrize("language", list(LANGUAGES)[1:])
def test_help_is_translated(language: str) -> None:
    """In one process, one language after the other: nothing stays of the one before."""
    english = {
        id(one): inspect.cleandoc(one.help)
        for command in every(main)
        for one in (command, *command.params)
        if isinstance(one, click.Command | click.Option) and one.help
    }
    CliRunner().invoke(main, ["--help"], env={"BFAI_LANGUAGE": language})
    try:
        for command in every(main):
            for one in (command, *command.params):
                if (text := english.get(id(one))) and isinstance(one, click.Command | click.Option):
                    assert one.help == translator(language).t(text)
                    assert one.help != text, text
    finally:
        CliRunner().invoke(main, ["--help"], env={"BFAI_LANGUAGE": "en"})
    assert main.help == english[id(main)]


def test_every_language_can_be_chosen_for_alerts() -> None:
    chosen = next(option for option in every(main) if option.name == "add" and "channel" in (option.help or ""))
    (language,) = [option for option in chosen.params if option.name == "language"]
    assert isinstance(language, click.Option) and language.help
    assert all(code in language.help.replace(",", "").rstrip(".").split() for code in LANGUAGES)


def test_a_terminal_speaks_the_language_that_was_set() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "bfai", "vault", "--help"],
        env={**os.environ, "BFAI_LANGUAGE": "de-AT"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert "Tresor" in shown
