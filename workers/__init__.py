"""When things run: Celery tasks and their schedule. No business rule lives here; each task opens a door of `bridge`."""
