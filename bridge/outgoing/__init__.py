"""Outgoing webhooks: signed messages to the shop about changes of a customer's points, for example to send mails.

A webhook is written in the transaction of the change that it reports (`outbox.py`). Workers send it (`send.py`) to
`DUST_OUTGOING_WEBHOOK_URL`. It is waiting, delivered or failed; an operator can send it again. A delivery is one
attempt.
"""
