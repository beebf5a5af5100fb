"""Rest: every event that came in is a row here before it is work, and stays one.

The webhook endpoint and the reconcile poll store events (`receive.py`, `reconcile.py`); workers take them from here
(`drain.py` many at a time, `handle.py` one). A row is pending, handled, ignored, or failed with a reason that an
operator can act on.
"""
