"""Each measure in a process of its own: Dust reads its environment once, and none weighs on the next."""

import sys
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.figures import Outcome, Scale
from benchmarks.pace import EVERY_SECONDS, Pace


def measured_apart(name: str, scale: Scale) -> Outcome:
    """What the module of this name measures, with the pace of a core. Ends the program if it fails; it has said why."""
    around = get_context("spawn")
    result, told = around.Pipe(duplex=False)
    process = around.Process(target=_measure, args=(name, scale, told))
    process.start()
    told.close()
    pace = Pace()
    try:
        while not result.poll(EVERY_SECONDS):
            pace.sample()
        outcome: Outcome = result.recv()
    except EOFError:
        sys.exit(f"{name} could not be measured")
    finally:
        process.join()
    return replace(outcome, pace=pace.mean, notes=[*outcome.notes, f"pace: {pace}"])


def _measure(name: str, scale: Scale, told: Connection) -> None:
    told.send(import_module(f"benchmarks.{name}").measure(scale))
