"""The ledger: every customer's points, as an append-only record.

Settlement, redemptions, the admin API and periodic jobs post movements here. Balances, statements and the audit read
from here. `account.py` has the operations on points, without I/O. `account_state.py` has the figures and lots that they
change, `postings.py` the rows that they write. `store.py` loads accounts under a lock and writes their postings.
"""
