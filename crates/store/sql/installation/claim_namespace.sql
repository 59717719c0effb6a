-- Returns the namespace of the installation, which is $1 if there was none. Of several processes that start at once, one
-- inserts the row, and the others return it.
INSERT INTO installation (namespace) VALUES ($1)
ON CONFLICT (single) DO UPDATE SET namespace = installation.namespace
RETURNING namespace
