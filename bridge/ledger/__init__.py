"""The heart: what every customer holds, as an append-only book with one writer.

Settlement, redemptions, the admin API and the clock bring movements here; balances, statements and the audit are read
from here. `account.py` is the arithmetic, without I/O; `book.py` loads accounts under lock and writes what they posted.
"""
