"""The role `dust_app`, which serves requests, and its privileges.

The first migration creates the role where that is allowed, and each migration grants privileges on its tables. `dust
migrate` completes both at every run: a dump restored on another server can lack the role or its privileges, and a later
run can be by a user who may create roles.
"""

from collections.abc import Callable, Iterable

from alembic import op

from bridge.db import APP_ROLE

Execute = Callable[[str], object]
Privileges = Iterable[tuple[str, tuple[str, ...]]]
"""Tables by what `dust_app` may do with them: `("SELECT, INSERT", ("dust_transaction", …))`."""


def create_role(execute: Execute = op.execute) -> None:
    """Create the role that serves requests and let the migrating user serve as it (`SET ROLE`).

    Without the right to create roles, Dust serves as the migrating user. The triggers protect the ledger there too.
    """
    execute(
        f"""
        DO $$
        BEGIN
            -- Another database of this server may be migrated at the same moment, and share the role.
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                    CREATE ROLE {APP_ROLE} NOLOGIN;
                END IF;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
            BEGIN
                IF NOT pg_has_role(current_user, '{APP_ROLE}', 'MEMBER') THEN
                    EXECUTE format('GRANT {APP_ROLE} TO %I', current_user);
                END IF;
                -- From Postgres 16 on, a user with CREATEROLE may grant a role that it created, but not use it.
                IF current_setting('server_version_num')::int >= 160000 THEN
                    IF NOT pg_has_role(current_user, '{APP_ROLE}', 'SET') THEN
                        EXECUTE format('GRANT {APP_ROLE} TO %I WITH SET TRUE, INHERIT FALSE', current_user);
                    END IF;
                END IF;
            EXCEPTION
                WHEN unique_violation OR internal_error THEN NULL;
            END;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role {APP_ROLE} not set up: %', SQLERRM;
        END $$
        """  # noqa: S608 - only constants
    )
    execute(
        f"""
        DO $$
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {APP_ROLE}', current_schema());
        EXCEPTION
            WHEN undefined_object OR insufficient_privilege THEN NULL;
        END $$
        """
    )


def grant(privileges: str, *tables: str, execute: Execute = op.execute) -> None:
    """Grant the role privileges on tables. Skipped if the migrating user could not create the role."""
    execute(
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


def complete(read: Callable[[str], object], execute: Execute, privileges: Privileges) -> None:
    """Create the role and grant these privileges, if the role or one of them is missing.

    `read` returns the value of a query. Tables that do not exist any more are left out.
    """
    granted = [("SELECT", ("alembic_version",)), *privileges]
    role_exists = f"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}')"  # noqa: S608 - only constants
    if not read(role_exists):
        create_role(execute)
    wanted = ", ".join(
        f"('{table}', '{name}')" for names, tables in granted for table in tables for name in names.split(", ")
    )
    has_all = f"SELECT bool_and(has_table_privilege('{APP_ROLE}', to_regclass(t), p)) FROM (VALUES {wanted}) v(t, p)"  # noqa: S608
    if not read(role_exists) or read(has_all):
        return
    create_role(execute)
    for names, tables in granted:
        if existing := [table for table in tables if read(f"SELECT to_regclass('{table}') IS NOT NULL")]:
            grant(names, *existing, execute=execute)
