-- Signatures that everybody may verify: a private Ed25519 key beside the secret, of those webhooks that ask for
-- it, sealed like the secret. The key before the last rotation signs as long as the secret before does.
ALTER TABLE webhooks
    ADD COLUMN signing_key          bytea,
    ADD COLUMN previous_signing_key bytea,
    ADD CHECK (previous_signing_key IS NULL OR (previous_secret IS NOT NULL AND signing_key IS NOT NULL));
