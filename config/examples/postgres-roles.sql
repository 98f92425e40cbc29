-- Guardian on PostgreSQL (13 or newer): three roles, two databases.
--
--   guardian_monitor  is `guardian watch`. It owns its own database and cannot even connect to the other one.
--   guardian_control  is `guardian serve`. It adds to the ledger and to the audit trail and cannot change or remove
--                     what stands there.
--   guardian_owner    owns the control database. It brings the schema up to date and is used for nothing else; keep
--                     its password away from the machines that run guardian.
--
-- Plain SQL for any client. Send the statements one at a time and outside a transaction (CREATE DATABASE wants that),
-- each section to the database in its heading, never the whole file to one. Choose three passwords first. With psql:
--
--   section() { sed -n "/^-- === $1\./,/^-- === $(($1+1))\./p" postgres-roles.sql; }
--   section 1 | psql -v ON_ERROR_STOP=1 -h db -U postgres -d postgres
--   section 2 | psql -v ON_ERROR_STOP=1 -h db -U postgres -d guardian_monitor
--   section 3 | psql -v ON_ERROR_STOP=1 -h db -U postgres -d guardian_control        (now the tables, see there)
--   section 4 | psql -v ON_ERROR_STOP=1 -h db -U guardian_owner -d guardian_control
--
-- Guardian needs the driver: pip install '.[postgres]', or 'intent-guardian[postgres]' where it is installed already.
-- Each of its processes keeps up to 15 connections open. A CONNECTION LIMIT of its role must have room for these, for
-- a command that somebody runs beside it, and for the next process where one replaces another.
--
-- Back-ups: guardian_control cannot dump its database (it may not read the sequences, nor pass over row security),
-- guardian_owner and superusers can:
--
--   umask 077; pg_dump -Fc -h db -U guardian_owner -f control.dump guardian_control
--   pg_restore --clean --if-exists --create -h db -U postgres -d postgres control.dump    (grants and policies come with it)
--
-- What a role cannot do, a person with superuser rights still can. For that there are the signed checkpoints that
-- leave the database: `guardian audit verify --checkpoint FILE`.

-- === 1. in database postgres, as a superuser ===

CREATE ROLE guardian_monitor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'CHANGE-ME-monitor';
CREATE ROLE guardian_control LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'CHANGE-ME-control';
CREATE ROLE guardian_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'CHANGE-ME-owner';

CREATE DATABASE guardian_monitor OWNER guardian_monitor ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE guardian_control OWNER guardian_owner ENCODING 'UTF8' TEMPLATE template0;

-- PUBLIC may connect to every database until it is told otherwise.
REVOKE ALL ON DATABASE guardian_monitor FROM PUBLIC;
REVOKE ALL ON DATABASE guardian_control FROM PUBLIC;
GRANT CONNECT ON DATABASE guardian_control TO guardian_control;

-- === 2. in database guardian_monitor, as a superuser ===

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO guardian_monitor;

-- === 3. in database guardian_control, as a superuser ===

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO guardian_owner;
GRANT USAGE ON SCHEMA public TO guardian_control;

-- Now let the owner make the tables, from anywhere that has guardian and the configuration. Again at every upgrade,
-- before the new version starts; then section 4 again.
--
--   GUARDIAN_STORE__CONTROL='postgresql+psycopg://guardian_owner:...@db/guardian_control' guardian migrate
--
-- `guardian serve` then finds nothing to migrate. Give each machine its own database's password and no other, in a
-- guardian.yaml that its user alone can read (chmod 600, as `guardian init` makes it):
--
--   control   store: {control: postgresql+psycopg://guardian_control:...@db/guardian_control,
--                     epoch_file: data/guardian_control.epoch}    on a durable disk: by it a restored backup is noticed;
--             without it control does not start
--   monitor   store: {monitor: postgresql+psycopg://guardian_monitor:...@db/guardian_monitor}
--
-- A token counts only in the database that it was issued in: those that `guardian init` wrote count in its SQLite
-- file. After section 4 issue new ones on control's machine: `guardian token issue admin --role admin --tenant '*' >
-- keys/admin.token`, likewise one with the role monitor, for the monitor's machine, and one for each gateway.

-- === 4. in database guardian_control, as guardian_owner, after section 3 and after every upgrade ===

GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO guardian_control;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guardian_control;
REVOKE INSERT ON migrations_control_version FROM guardian_control;

-- Where things stand: the next revision, sessions as they are now, alerts on their way, who follows the list, self-tests.
GRANT UPDATE ON control_head, control_session, control_delivery, control_peer, control_self_test, control_cursor, control_case, control_followed TO guardian_control;
-- Until 0015 that of an alert stood in control_alert, which holds only what was told now.
REVOKE UPDATE ON control_alert FROM guardian_control;

-- What may be said about a record later, and nothing else of it.
GRANT UPDATE (verdict) ON control_finding TO guardian_control;
GRANT UPDATE (revoked_at, revoked_by) ON control_token TO guardian_control;
GRANT UPDATE (state, decided_by, decided_at, decision_reason, result) ON control_approval TO guardian_control;
GRANT UPDATE (ended_at, ended_by) ON control_break_glass TO guardian_control;
GRANT UPDATE (reset_at, reset_by) ON control_breaker TO guardian_control;
GRANT UPDATE (first_seen) ON control_model TO guardian_control;
GRANT UPDATE (ended_at, ended_by, uses) ON control_exception TO guardian_control;
GRANT UPDATE (seen_at) ON control_visit TO guardian_control;

-- What follows from the ledger, the mode in force, the latest trip, answers that nobody will ask for again, sign-ins
-- that are over, walks down the lines of delegation, and back, that have come to their end, and records of tokens
-- that expired long ago (without its record a token counts for nothing), where a new channel had to begin, and
-- channels that are configured no more.
GRANT DELETE ON control_channel, control_live, control_mode, control_breaker, control_idempotency, control_peer, control_self_test, control_visit, control_descent, control_lifting, control_token, control_followed TO guardian_control;

-- Row 0 is the checkpoint writer's notebook; all others are signed and stay as they are.
GRANT UPDATE (note, at) ON control_checkpoint TO guardian_control;
ALTER TABLE control_checkpoint ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS all_are_read ON control_checkpoint;
DROP POLICY IF EXISTS all_are_added ON control_checkpoint;
DROP POLICY IF EXISTS only_the_notebook_changes ON control_checkpoint;
CREATE POLICY all_are_read ON control_checkpoint FOR SELECT USING (true);
CREATE POLICY all_are_added ON control_checkpoint FOR INSERT WITH CHECK (true);
CREATE POLICY only_the_notebook_changes ON control_checkpoint FOR UPDATE USING (size = 0);
