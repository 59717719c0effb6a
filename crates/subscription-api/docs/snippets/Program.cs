// dotnet new web && dotnet add package StandardWebhooks.StandardWebhooks
using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using StandardWebhooks;
using StandardWebhooks.Exceptions;

var secret = Environment.GetEnvironmentVariable("WEBHOOK_SECRET"); // whsec_…
if (string.IsNullOrEmpty(secret))
{
    throw new InvalidOperationException("Set WEBHOOK_SECRET to the secret of the webhook.");
}
var webhook = new Webhook(secret);
var saved = new ConcurrentDictionary<string, bool>(); // in production: a table with a unique key on the id
var app = WebApplication.CreateBuilder(args).Build();

app.MapPost("/webhooks", async (HttpRequest request) =>
{
    // The raw body. A parameter of another type would be parsed JSON.
    using var reader = new StreamReader(request.Body);
    var body = await reader.ReadToEndAsync();
    var headers = new WebHeaderCollection();
    foreach (var name in new[] { "webhook-id", "webhook-timestamp", "webhook-signature" })
    {
        headers.Set(name, request.Headers[name].ToString());
    }
    try
    {
        webhook.Verify(body, headers);
    }
    catch (WebhookVerificationException)
    {
        return Results.BadRequest("the signature is not valid");
    }
    var received = JsonDocument.Parse(body).RootElement;
    if (Save(received)) // fast, because Postrider waits 15 seconds at most
    {
        _ = Task.Run(() => Work(received));
    }
    return Results.NoContent();
});

app.Run();

// Returns whether the event is new.
bool Save(JsonElement received) => saved.TryAdd(received.GetProperty("id").GetString()!, true);

// Your own work. In production, another process reads the events from the table, so that a crash loses none.
void Work(JsonElement received)
{
    // The data may be personal, so it is not logged.
    Console.WriteLine($"{received.GetProperty("type")} {received.GetProperty("id")}");
}
