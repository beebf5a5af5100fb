"""The ledger: every customer's points, as an append-only record.

Settlement, redemptions, the admin API and periodic jobs post movements here. Balances, statements and the audit read
from here. `account.py` is the arithmetic, without I/O; `store.py` loads accounts under a lock and writes their
postings.
"""
