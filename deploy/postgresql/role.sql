-- Creates the role of the services, without rights of a superuser, for a server of deploy/up or Compose. It may create databases,
-- so that deploy/test can. The passwords come from the environment, because every user of a machine can read command lines.
\set ON_ERROR_STOP on
\getenv password POSTRIDER_POSTGRES_PASSWORD
select 'create role postrider login createdb'
where not exists (select from pg_roles where rolname = 'postrider') \gexec
alter role postrider password :'password';
