-- Checks the rows from before V10, without a lock that keeps others from writing.

SET LOCAL lock_timeout = '2s';

ALTER TABLE webhooks VALIDATE CONSTRAINT webhooks_headers_one_form;
ALTER TABLE webhooks VALIDATE CONSTRAINT webhooks_headers_have_names;
