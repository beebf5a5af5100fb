"""Celery tasks and their schedule. There are no business rules here; each task calls a function of `bridge`."""
