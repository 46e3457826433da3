"""`python -m tests.sim.run --seeds 0:10000` plays seeds and ends with 1 at the first that fails; `--seed N -v` plays one and tells what happens."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tests.sim.setting import PRODUCT, Cast
from tests.sim.stage import Stage, staged
from tests.sim.world import playing


class Outcome(NamedTuple):
    """How a seed went."""

    seed: int
    wrong: str
    """Nothing where all is well."""
    ended: str
    """Why nobody could go on."""
    commands: int
    trace: list[str]


def play(seed: int, stage: Stage, cast: Cast = PRODUCT) -> Outcome:
    """One seed from beginning to end."""
    with playing(seed, stage, cast) as world:
        wrong = ""
        try:
            world.run()
        except Exception as error:  # noqa: BLE001 (whatever the product raises where nothing is wrong with its surroundings)
            place = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"
        return Outcome(seed, wrong, world.ended, world.truth.sequence, world.trace)


def play_many(seeds: range) -> Outcome | None:
    """Several seeds; the first that fails."""
    with staged() as stage:
        return next((outcome for seed in seeds if (outcome := play(seed, stage)).wrong), None)


def repeat_command(seed: int) -> str:
    """How to see it again."""
    return f"python -m tests.sim.run --seed {seed} -v"


def main() -> int:
    """0 when every seed is clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:100", help="FIRST:LAST, of which the last is not played")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--processes", type=int, default=1, help="so many play at the same time")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell every step")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        with staged() as stage:
            return _tell(play(arguments.seed, stage), verbose=arguments.verbose)
    first, last = (int(number) for number in arguments.seeds.split(":"))
    return _play_all(first, last, arguments.processes)


def _play_all(first: int, last: int, processes: int) -> int:
    started, batch = time.monotonic(), 50
    batches = [range(begin, min(begin + batch, last)) for begin in range(first, last, batch)]
    with get_context("spawn").Pool(processes) as pool:
        for count, outcome in enumerate(pool.imap(play_many, batches), 1):
            if outcome is not None:
                print()
                return _tell(outcome, verbose=False)
            done = min(last, first + count * batch) - first
            print(f"\r{done:,} of {last - first:,} seeds are clean, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
    print(f"\n{last - first:,} seeds are clean")
    return 0


def _tell(outcome: Outcome, *, verbose: bool) -> int:
    if verbose:
        print("\n".join(f"{number:4} {what}" for number, what in enumerate(outcome.trace)))
    if outcome.wrong:
        print(f"seed {outcome.seed}, step {len(outcome.trace) - 1}: {outcome.wrong}\nrepeat it: {repeat_command(outcome.seed)}")
        return 1
    print(f"seed {outcome.seed} is clean: {outcome.commands} commands{', ended: ' + outcome.ended if outcome.ended else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
