"""Compares what the statement that stores a batch costs PostgreSQL at two revisions, side by side.

    python3 tests/benches/ingest_cost/measure.py BEFORE [ROUNDS]

Creates a database for the revision BEFORE and one for the working tree, and lets both store batches of 500 events at
fan-out 1 in turns, each statement planned once as in the router. Prints for each event the time that passed and the CPU
time of PostgreSQL's process, and the differences. The CPU time says more on a machine that does other work, too. Needs
`psql`, and the server on this machine; PGHOST and PGUSER choose it. Both databases are dropped afterwards.
"""

import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
STORE = "crates/store"
BATCH = 500
WARM_UP = 3
# Batches of a session after the warm-up.
BATCHES = 40
TICKS = os.sysconf("SC_CLK_TCK")
# The online indexes that a router waits for, as crates/store/src/maintenance/online_index.rs builds them.
ALWAYS = """
    CREATE INDEX ON deliveries (webhook_id, next_attempt_at)
        WHERE status = 'pending' AND next_attempt_at IS NOT NULL;
"""
LOOKUP = """
    CREATE UNIQUE INDEX ON event_keys (key, brand_id, epoch);
    ALTER TABLE event_keys DROP CONSTRAINT event_keys_pkey;
    CREATE INDEX ON events (brand_id, created, id);
    CREATE INDEX ON events (key, brand_id, created, id) WHERE key IS NOT NULL;
"""
PREPARE = """
    SELECT make_day_partitions((now() - interval '7 days')::date, (now() + interval '3 days')::date);
    INSERT INTO brands (brand_id, name) SELECT 'brand' || n, 'x' FROM generate_series(0, 19) AS n;
    INSERT INTO webhooks (id, brand_id, endpoint, events, status, secret)
    SELECT md5('w' || n)::uuid, 'brand' || n % 20, 'https://example.com/', '{*}', 'active', ''
    FROM generate_series(0, 99) AS n;
"""
# $1 to $13 of the statement. An id is a ULID: the time, and a drawn part.
PARAMETERS = [
    ("v", "bigint", None),
    ("brands", "text[]", "'brand' || g % 20"),
    ("keys", "text[]", "'m:' || md5(random()::text)"),
    ("ids", "uuid[]", "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')"
                      " || substr(md5(random()::text), 1, 20))::uuid"),
    ("created", "timestamptz[]", "clock_timestamp()"),
    ("types", "text[]", "'NOTIFICATION.SMS.RECEIPT'"),
    ("datas", "text[]", """'{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}'"""),
    ("places", "bigint[]", "g"),
    ("webhooks", "uuid[]", "md5('w' || (g % 20 + 20 * (g % 5)))::uuid"),
    ("generations", "integer[]", "1"),
    ("statuses", "text[]", "'pending'"),
    ("received", "timestamptz[]", "clock_timestamp()"),
    ("search_keys", "text[]", "NULL"),
]


def psql(database, sql):
    command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"]
    done = subprocess.run(command, input=sql, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def read(revision, path):
    if revision is None:
        return (ROOT / path).read_text()
    show = ["git", "-C", str(ROOT), "show", f"{revision}:{path}"]
    return subprocess.run(show, capture_output=True, text=True, check=True).stdout


def list_migrations(revision):
    directory = f"{STORE}/migrations"
    if revision is None:
        names = [path.name for path in (ROOT / directory).iterdir()]
    else:
        tree = ["git", "-C", str(ROOT), "ls-tree", "--name-only", revision, f"{directory}/"]
        listed = subprocess.run(tree, capture_output=True, text=True, check=True).stdout
        names = [line.rsplit("/", 1)[1] for line in listed.split()]
    return sorted(names, key=lambda name: int(re.match(r"V(\d+)__", name).group(1)))


def build_function(revision):
    """Wraps the statement into a function, whose statements are planned once, and which returns microseconds."""
    lines = read(revision, f"{STORE}/sql/ingest/store.sql").splitlines()
    statement = "\n".join(line for line in lines if not line.startswith("--"))
    for number, (name, _, _) in reversed(list(enumerate(PARAMETERS, 1))):
        statement = statement.replace(f"${number}", f"p_{name}")
    declared = " ".join(f"p_{name} {kind};" for name, kind, _ in PARAMETERS)
    filled = [parameter for parameter in PARAMETERS if parameter[2]]
    values = ", ".join(f"array_agg(({value})::{kind[:-2]} ORDER BY g)" for _, kind, value in filled)
    names = ", ".join(f"p_{name}" for name, _, _ in filled)
    return f"""
        CREATE FUNCTION store_batch(is_real boolean) RETURNS float8 LANGUAGE plpgsql AS $body$
        #variable_conflict use_column
        DECLARE {declared} began timestamptz; stored record;
        BEGIN
            SELECT routing INTO p_v FROM config_version;
            SELECT {values} INTO {names} FROM generate_series(1, {BATCH}) AS g;
            began := clock_timestamp();
            IF is_real THEN
                FOR stored IN {statement} LOOP END LOOP;
            END IF;
            RETURN extract(epoch FROM clock_timestamp() - began) * 1e6 / {BATCH};
        END $body$;
    """


def create_database(name, revision):
    psql("postgres", f"DROP DATABASE IF EXISTS {name}")
    psql("postgres", f"CREATE DATABASE {name}")
    migrations = list_migrations(revision)
    for migration in migrations:
        psql(name, "BEGIN;" + read(revision, f"{STORE}/migrations/{migration}") + ";COMMIT;")
    has_lookup = any(migration.startswith("V14__") for migration in migrations)
    psql(name, PREPARE + ALWAYS + (LOOKUP if has_lookup else "") + build_function(revision))


def run_session(database, is_real):
    """Stores batches in one session. Returns the microseconds for an event that passed, of each batch, and the CPU time."""
    call = f"SELECT store_batch({str(is_real).lower()});\n"
    usage = "\\! cut -d' ' -f14,15 /proc/$SERVER_PID/stat\n"
    session = "SELECT pg_backend_pid() AS pid \\gset\n\\setenv SERVER_PID :pid\n"
    session += WARM_UP * call + usage + BATCHES * call + usage
    lines = psql(database, session).split("\n")
    ticks = [sum(map(int, line.split())) for line in (lines[WARM_UP], lines[WARM_UP + 1 + BATCHES])]
    passed = [float(line) for line in lines[WARM_UP + 1:WARM_UP + 1 + BATCHES]]
    return passed, (ticks[1] - ticks[0]) / TICKS * 1e6 / BATCHES / BATCH


def measure(database):
    """Returns the microseconds for an event that passed, of each batch, and the CPU time without that of the parameters."""
    passed, cpu = run_session(database, is_real=True)
    _, parameters = run_session(database, is_real=False)
    return passed, cpu - parameters


def main():
    before = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    databases = {"before": f"ingest_cost_{os.getpid()}_a", "after": f"ingest_cost_{os.getpid()}_b"}
    passed = {name: [] for name in databases}
    cpu = {name: [] for name in databases}
    try:
        create_database(databases["before"], before)
        create_database(databases["after"], None)
        for number in range(rounds):
            # Each goes first as often as the other, because the second one finds a warmer machine.
            for name in sorted(databases, reverse=number % 2 == 0):
                times, of_server = measure(databases[name])
                passed[name].extend(times)
                cpu[name].append(of_server)
    finally:
        for database in databases.values():
            psql("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    for what, values in (("time", passed), ("CPU time", cpu)):
        for name in databases:
            print(f"{what} {name}: mean {statistics.mean(values[name]):.1f}, median "
                  f"{statistics.median(values[name]):.1f} us/event")
        for mean, of in (("mean", statistics.mean), ("median", statistics.median)):
            print(f"{what}, {mean}: {(of(values['after']) / of(values['before']) - 1) * 100:+.1f} %")


if __name__ == "__main__":
    main()
