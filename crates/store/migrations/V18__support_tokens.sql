-- Named tokens of support. They have a table of their own, so that no statement about a brand's tokens can find one.

SET LOCAL lock_timeout = '2s';

CREATE TABLE support_tokens (
    id        uuid PRIMARY KEY,
    name      text NOT NULL,
    -- Only the SHA-256 of 256 random bits is kept: nothing here can be used to sign in.
    sha256    bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created   timestamptz(3) NOT NULL,
    -- Written at most once a minute.
    last_used timestamptz(3),
    expires   timestamptz(3)
);
CREATE INDEX support_tokens_by_time ON support_tokens (created, id);

-- The index of support's entries in the audit is built online (crates/store/src/maintenance/online_index.rs).
