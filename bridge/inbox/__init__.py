"""Inbox: stores every incoming event before it is processed, and keeps it.

The webhook endpoint and the reconcile poll store events (`receive.py`, `reconcile.py`). Workers process them: many in a
batch (`process_batch.py`) or one at a time (`process_one.py`). An event is pending, handled, ignored, or failed with a
reason that an operator can act on.
"""
