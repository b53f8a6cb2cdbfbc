-- The password is in no log and no statistics, whatever fails.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';
SET pg_stat_statements.track = 'none';
\set password `printenv DATABASE_PASSWORD`
SELECT 'CREATE ROLE mlflow' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlflow') \gexec
ALTER ROLE mlflow WITH LOGIN PASSWORD :'password';
SELECT 'CREATE DATABASE mlflow OWNER mlflow'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'mlflow') \gexec
\connect mlflow
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
