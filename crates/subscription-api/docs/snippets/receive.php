<?php

require __DIR__ . '/vendor/autoload.php'; // composer require standard-webhooks/standard-webhooks

use StandardWebhooks\Exception\WebhookVerificationException;
use StandardWebhooks\Webhook;

$secret = getenv('WEBHOOK_SECRET'); // whsec_…
if (!$secret) {
    error_log('Set WEBHOOK_SECRET to the secret of the webhook.');
    http_response_code(500);
    exit;
}
$body = file_get_contents('php://input'); // the raw body
$headers = [
    // PHP shows the header webhook-id as HTTP_WEBHOOK_ID.
    'webhook-id' => $_SERVER['HTTP_WEBHOOK_ID'] ?? null,
    'webhook-timestamp' => $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? null,
    'webhook-signature' => $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? null,
];
try {
    $event = (new Webhook($secret))->verify($body, $headers);
} catch (WebhookVerificationException) {
    http_response_code(400);
    exit("the signature is not valid\n");
}
save($event); // fast, because Postrider waits 15 seconds at most
http_response_code(204);

function save(array $event): void
{
    // In production, insert the event into a table with a unique key on $event['id'], because it may arrive twice. Your own
    // work belongs in another process that reads this table.
    error_log($event['type'] . ' ' . $event['id']); // $event['data'] may be personal, so it is not logged
}
