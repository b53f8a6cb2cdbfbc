#!/bin/sh
# Before the server starts: a cluster of its own where there is none, the role with the password of
# the Secret, its database and extensions. Killed anywhere it begins anew; twice changes nothing.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  draft="$PGDATA.draft"
  rm -rf "$draft"
  initdb --pgdata "$draft" --username postgres --encoding UTF8 --locale C.UTF-8 --data-checksums \
    --auth-local peer --auth-host scram-sha-256
  mv "$draft" "$PGDATA"
fi
pg_ctl --pgdata "$PGDATA" --wait --timeout 600 --silent \
  --options "-c config_file=$CONFIGURATION/postgresql.conf -c listen_addresses=" start
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --file "$CONFIGURATION/database.sql"
pg_ctl --pgdata "$PGDATA" --wait --timeout 600 --silent --mode fast stop
