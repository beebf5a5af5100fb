"""Flower, where operators watch tasks and retry those that failed. The real one, extended from outside."""

from workers.flower.run import run_flower

__all__ = ["run_flower"]
