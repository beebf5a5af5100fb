"""Run each benchmark in its own process, because Dust reads its environment once, and so that none slows the next."""

import sys
from dataclasses import replace
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.figures import Outcome, Scale
from benchmarks.pace import EVERY_SECONDS, Pace


def measured_apart(name: str, scale: Scale) -> Outcome:
    """Run the benchmark module of this name. If it fails, it has printed why, and the program exits."""
    around = get_context("spawn")
    receiver, sender = around.Pipe(duplex=False)
    process = around.Process(target=_measure, args=(name, scale, sender))
    process.start()
    sender.close()
    pace = Pace()
    try:
        while not receiver.poll(EVERY_SECONDS):
            pace.sample()
        outcome: Outcome = receiver.recv()
    except EOFError:
        sys.exit(f"{name} could not be measured")
    finally:
        process.join()
    return replace(outcome, pace=pace.mean, notes=[*outcome.notes, f"pace: {pace}"])


def _measure(name: str, scale: Scale, sender: Connection) -> None:
    sender.send(import_module(f"benchmarks.{name}").measure(scale))
