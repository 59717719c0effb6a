-- The namespace in the broker that belongs to this database. Processes of two namespaces would share the webhooks of one
-- database, and each would consume the queues of its own namespace only.

SET LOCAL lock_timeout = '2s';

CREATE TABLE installation (
    -- One row at most.
    single    boolean PRIMARY KEY DEFAULT true CHECK (single),
    -- POSTRIDER_NAMESPACE of the first process that started.
    namespace text COLLATE "C" NOT NULL CHECK (namespace <> '')
);
