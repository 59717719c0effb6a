<?php

// Serves the controller of the docs with the packages of Laravel that Debian has, because a whole application comes from a
// registry that not every machine reaches.

require '/usr/share/php/Illuminate/Http/autoload.php';
require __DIR__ . '/vendor/autoload.php';
require __DIR__ . '/WebhookController.php';

/** Stands in for the helper of a whole application. */
function config(string $key): string
{
    return $key === 'services.postrider.secret' ? getenv('WEBHOOK_SECRET') : throw new LogicException($key);
}

(new App\Http\Controllers\WebhookController())(Illuminate\Http\Request::capture())->send();
