"""`python -m tools.profile COMMAND`: record, stages, doctor."""

from __future__ import annotations

import argparse
import sys

from shm_exchange.domain.errors import ExchangeError
from tools.profile import doctor, record, stages


def main() -> int:
    """Run one command; 0 when it did what was asked, 1 with one line that says why not."""
    own, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(prog="python -m tools.profile", description="Where a process of an exchange spends its time.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (record, stages, doctor):
        module.add_to(commands)
    arguments = parser.parse_args(own)
    if command and not arguments.takes_command:
        parser.error(f"{arguments.command} takes no command behind --")
    try:
        return int(arguments.run(arguments, command))
    except ExchangeError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and the command behind --."""
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


if __name__ == "__main__":
    raise SystemExit(main())
