"""Imports every module that defines tables. Alembic compares them with the database, so this is the one module of `db`
that imports packages above it."""


def import_tables() -> None:
    """Complete `bridge.db.metadata`."""
    import bridge.clock
    import bridge.imports.tables
    import bridge.inbox.backfill
    import bridge.inbox.erasure
    import bridge.inbox.reconcile
    import bridge.inbox.tables
    import bridge.ledger.tables
    import bridge.observability.metrics
    import bridge.outgoing.tables
    import bridge.products.settings
    import bridge.programme.drafts
    import bridge.programme.shop_currencies
    import bridge.programme.versions
    import bridge.queue.job_runs
    import bridge.queue.operator_retries
    import bridge.redemptions.tables
    import bridge.reports.tables
    import bridge.settlement.manual_bonuses
    import bridge.settlement.tables
    import bridge.simulation.tables  # noqa: F401
