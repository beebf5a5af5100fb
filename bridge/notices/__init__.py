"""Outgoing webhooks: signed messages to the shop about changes of a customer's points, for example to send mails.

A notice (one outgoing webhook) is written in the transaction of the change that it reports (`outbox.py`). Workers send
it (`send.py`) to `DUST_NOTIFY_URL`. A notice is waiting, delivered, or parked (failed; an operator can retry it).
"""
