"""Flower, where operators watch tasks and retry failed ones: the original, with extensions."""

from workers.flower.run import run_flower

__all__ = ["run_flower"]
