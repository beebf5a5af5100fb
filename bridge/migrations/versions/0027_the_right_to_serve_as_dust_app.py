"""Let the migrating user serve as `dust_app` on Postgres 16 and later.

There a user with CREATEROLE who creates a role becomes a member that may grant the role, but not use it (`SET ROLE`).
Seen with Postgres 18.6. No table is locked.
"""

from alembic import op

from bridge.migrations.privileges import APP_ROLE

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        f"""
        DO $$
        BEGIN
            IF current_setting('server_version_num')::int >= 160000 THEN
                IF NOT pg_has_role(current_user, '{APP_ROLE}', 'SET') THEN
                    EXECUTE format('GRANT {APP_ROLE} TO %I WITH SET TRUE, INHERIT FALSE', current_user);
                END IF;
            END IF;
        EXCEPTION
            -- The last two: another database of this server is migrated at the same moment.
            WHEN undefined_object OR insufficient_privilege OR unique_violation OR internal_error THEN
                RAISE NOTICE '% does not serve as {APP_ROLE}: %', current_user, SQLERRM;
        END $$
        """
    )


def downgrade() -> None:
    """The right stays: other databases of this server may use it."""
