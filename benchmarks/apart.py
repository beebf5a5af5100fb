"""Each measure in a process of its own: Dust reads its environment once, and none weighs on the next."""

import sys
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.figures import Outcome, Scale


def measured_apart(name: str, scale: Scale) -> Outcome:
    """What the module of this name measures. Ends the program when it fails; it has said why."""
    around = get_context("spawn")
    result, told = around.Pipe(duplex=False)
    process = around.Process(target=_measure, args=(name, scale, told))
    process.start()
    told.close()
    try:
        outcome: Outcome = result.recv()
    except EOFError:
        sys.exit(f"{name} could not be measured")
    finally:
        process.join()
    return outcome


def _measure(name: str, scale: Scale, told: Connection) -> None:
    told.send(import_module(f"benchmarks.{name}").measure(scale))
