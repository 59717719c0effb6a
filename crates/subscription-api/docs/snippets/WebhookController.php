<?php

// app/Http/Controllers/WebhookController.php
//
// composer require standard-webhooks/standard-webhooks
// routes/api.php, whose routes have no CSRF check:  Route::post('/webhooks', WebhookController::class);
// config/services.php:                              'postrider' => ['secret' => env('WEBHOOK_SECRET')],

namespace App\Http\Controllers;

use Illuminate\Http\Request;
use Illuminate\Http\Response;
use StandardWebhooks\Exception\WebhookVerificationException;
use StandardWebhooks\Webhook;

class WebhookController
{
    public function __invoke(Request $request): Response
    {
        $secret = config('services.postrider.secret'); // whsec_…
        if (!$secret) {
            throw new \RuntimeException('Set WEBHOOK_SECRET to the secret of the webhook.');
        }
        $webhook = new Webhook($secret);
        $headers = array_map(fn (array $values) => $values[0], $request->headers->all());
        try {
            $event = $webhook->verify($request->getContent(), $headers); // the raw body, not $request->json()
        } catch (WebhookVerificationException) {
            return new Response("the signature is not valid\n", 400);
        }
        $this->save($event); // fast, because Postrider waits 15 seconds at most
        return new Response('', 204);
    }

    private function save(array $event): void
    {
        // In production: DB::table('events')->insertOrIgnore(['id' => $event['id'], …]). If the event is new, dispatch a
        // queued job that does your own work.
        error_log($event['type'] . ' ' . $event['id']); // $event['data'] may be personal, so it is not logged
    }
}
