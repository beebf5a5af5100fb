"""What migrations say about the role that serves requests. It was made by the first of them, where that was allowed."""

from alembic import op

APP_ROLE = "dust_app"


def grant(privileges: str, *tables: str) -> None:
    """Let the role do this with new tables; skipped where the migrating user could not make the role."""
    op.execute(
        f"""
        DO $$
        BEGIN
            GRANT {privileges} ON {", ".join(tables)} TO {APP_ROLE};
        EXCEPTION
            WHEN undefined_object OR insufficient_privilege THEN
                RAISE NOTICE '{APP_ROLE} has no part in {", ".join(tables)}: %', SQLERRM;
        END $$
        """
    )
