<?php

// Stands in for Composer's file: it loads the library for the snippets.
spl_autoload_register(function (string $class): void {
    $file = __DIR__ . '/' . str_replace(['StandardWebhooks\\', '\\'], ['', '/'], $class) . '.php';
    if (is_file($file)) {
        require $file;
    }
});
