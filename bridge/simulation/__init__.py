"""Orders settled for show: by the very settlement that books them, on tables that vanish when the look is over.

Backfill's preview and `dust programme simulate` come here. Nothing is written and no row that is in use is locked.
"""
