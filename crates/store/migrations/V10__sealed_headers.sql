-- The values of custom headers are sealed like secrets, and the event about a disabled webhook tells other endpoints
-- less. The release before runs on this schema, too: upgrade its deliverers first.

-- No statement waits for long behind one of these.
SET LOCAL lock_timeout = '2s';

-- Custom headers have one of two forms. Sealed: `headers` is NULL, and the names are beside the sealed values. Plain:
-- `headers` has names and values, as the release before writes them. `{}` is plain, because it hides nothing.
ALTER TABLE webhooks
    ALTER COLUMN headers DROP NOT NULL,
    ADD COLUMN sealed_headers bytea,
    ADD COLUMN header_names text[],
    ADD CONSTRAINT webhooks_headers_one_form CHECK ((headers IS NULL) = (sealed_headers IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT webhooks_headers_have_names CHECK ((sealed_headers IS NULL) = (header_names IS NULL)) NOT VALID;

-- Finds the headers that are still to be sealed.
CREATE INDEX webhooks_plain_headers ON webhooks (id) WHERE headers IS NOT NULL AND headers::text <> '{}';

-- Whether a process opens sealed headers. False for a process of the release before, which says nothing of it.
ALTER TABLE instances ADD COLUMN opens_headers boolean NOT NULL DEFAULT false;

-- Whether an API or a deliverer of the release before may be running. It reads plain headers alone, so that nothing is
-- sealed meanwhile. Routers read no headers.
CREATE FUNCTION plain_headers_are_read() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM instances
        WHERE service <> 'router' AND NOT opens_headers AND last_seen > now() - interval '1 minute'
    )
$$;

-- As before, but the event tells the brand's other endpoints neither the query of the URL, which may hold a credential of
-- another vendor, nor the detail, which may be a note of support. The notice is for operators, who forward it: it has the
-- detail, and no query either.
CREATE OR REPLACE FUNCTION announce_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    brand brands;
    at text := to_char(NEW.disabled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    endpoint text := split_part(NEW.endpoint, '?', 1);
BEGIN
    SELECT * INTO brand FROM brands WHERE brand_id = NEW.brand_id;
    INSERT INTO outbox (id, exchange, routing_key, body) VALUES
    (gen_random_uuid(), 'notices', 'webhook.disabled', json_build_object(
        'webhook', json_build_object('id', NEW.id, 'brandId', NEW.brand_id, 'endpoint', endpoint,
                                     'events', NEW.events, 'description', NEW.description),
        'reason', NEW.disabled_reason, 'detail', NEW.disabled_detail, 'at', at,
        'figures', coalesce(NEW.disabled_figures, '{}'),
        'contact', CASE WHEN brand.contact_name IS NOT NULL OR brand.contact_email IS NOT NULL
                   THEN json_build_object('name', brand.contact_name, 'email', brand.contact_email) END)),
    (gen_random_uuid(), 'events', 'WEBHOOK.DISABLED', json_build_object(
        'brandId', NEW.brand_id, 'type', 'WEBHOOK.DISABLED', 'created', at,
        'data', json_build_object('webhookId', NEW.id, 'endpoint', endpoint,
                                  'reason', NEW.disabled_reason, 'at', at)));
    RETURN NULL;
END $$;

UPDATE event_types
SET schema = '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["webhookId","endpoint","reason","at"],"properties":{"webhookId":{"type":"string","format":"uuid"},"endpoint":{"type":"string","description":"The URL without its query"},"reason":{"enum":["gone","failing","unresponsive","support"]},"at":{"type":"string","format":"date-time"}}}',
    example = '{"webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1","endpoint":"https://example.com/my/webhook/endpoint","reason":"gone","at":"2021-04-08T19:36:02.938Z"}',
    updated = now()
WHERE name = 'WEBHOOK.DISABLED';
