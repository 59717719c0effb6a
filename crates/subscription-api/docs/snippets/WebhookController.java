package com.example;

import com.standardwebhooks.Webhook; // Maven: com.standardwebhooks:standardwebhooks
import com.standardwebhooks.exceptions.EmptyWebhookSecretException;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import java.net.http.HttpHeaders;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.http.ResponseEntity;
import org.springframework.util.MultiValueMap;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;

@RestController
public class WebhookController {
    private final Webhook webhook;
    // In production: a table with a unique key on the id of the event.
    private final Set<String> saved = ConcurrentHashMap.newKeySet();

    public WebhookController() throws EmptyWebhookSecretException {
        String secret = System.getenv("WEBHOOK_SECRET"); // whsec_…
        if (secret == null || secret.isEmpty()) {
            throw new IllegalStateException("Set WEBHOOK_SECRET to the secret of the webhook.");
        }
        webhook = new Webhook(secret);
    }

    @PostMapping("/webhooks")
    public ResponseEntity<String> receive(
            @RequestBody byte[] raw, @RequestHeader MultiValueMap<String, String> headers) {
        String body = new String(raw, StandardCharsets.UTF_8); // byte[] is the raw body; a class would be parsed JSON
        try {
            webhook.verify(body, HttpHeaders.of(headers, (name, value) -> true));
        } catch (WebhookVerificationException e) {
            return ResponseEntity.badRequest().body("the signature is not valid\n");
        }
        String id = headers.getFirst("webhook-id"); // the id of the event, which the signature covers
        if (saved.add(id)) { // fast, because Postrider waits 15 seconds at most
            CompletableFuture.runAsync(() -> work(id, body));
        }
        return ResponseEntity.noContent().build();
    }

    /** Your own work. In production, another process reads the events from the table, so that a crash loses none. */
    private void work(String id, String event) {
        System.out.println(id); // the event may have personal data, so it is not logged
    }
}
