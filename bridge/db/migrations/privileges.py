"""Privileges of `dust_app`, the role that serves requests. The first migration creates it where that is allowed."""

from alembic import op

from bridge.db import APP_ROLE


def grant(privileges: str, *tables: str) -> None:
    """Grant the role privileges on new tables. Skipped if the migrating user could not create the role."""
    op.execute(
        f"""
        DO $$
        BEGIN
            GRANT {privileges} ON {", ".join(tables)} TO {APP_ROLE};
        EXCEPTION
            WHEN undefined_object OR insufficient_privilege THEN
                RAISE NOTICE '{APP_ROLE} has no privileges on {", ".join(tables)}: %', SQLERRM;
        END $$
        """
    )
