"""News for the shop: signed webhooks that say what happened to a customer's dust, so that the shop can send its mails.

Whoever writes what there is to tell writes its notice with it, in the same transaction (`outbox.py`); workers send them
(`send.py`) to the one address that `DUST_NOTIFY_URL` names. A notice is waiting, delivered, or parked for an operator.
"""
