#!/bin/sh
# Creates the users of Dust. The image of Postgres runs this once, when it creates the cluster.
#
#   dust        owns the database and the tables; only `dust migrate` logs in as this user
#   dust_app    the rights that Dust needs all day; `dust migrate` grants them
#   dust_serve  the login of all other processes; it has the rights of dust_app and owns nothing
#
# The passwords come from the environment, so that they are in no command line.
set -eu

psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv owner_password POSTGRES_DUST_PASSWORD
\getenv serve_password POSTGRES_DUST_SERVE_PASSWORD
\getenv database POSTGRES_DB
CREATE ROLE dust LOGIN CREATEROLE PASSWORD :'owner_password';
ALTER DATABASE :"database" OWNER TO dust;
-- As dust, so that dust may grant the one and, later, change both.
SET ROLE dust;
CREATE ROLE dust_app NOLOGIN;
CREATE ROLE dust_serve LOGIN PASSWORD :'serve_password' IN ROLE dust_app;
SQL
