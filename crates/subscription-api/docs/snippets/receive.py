import os
import sys

import uvicorn  # pip install fastapi uvicorn standardwebhooks
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

secret = os.environ.get("WEBHOOK_SECRET")  # whsec_…
if not secret:
    sys.exit("Set WEBHOOK_SECRET to the secret of the webhook.")
webhook = Webhook(secret)
app = FastAPI()
saved = set()  # in production: a table with a unique key on the id of the event


@app.post("/webhooks", status_code=204)
async def receive(request: Request, after_response: BackgroundTasks) -> None:
    body = await request.body()  # the raw body, not request.json()
    try:
        event = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        raise HTTPException(400, "the signature is not valid")
    if save(event):  # fast, because Postrider waits 15 seconds at most
        after_response.add_task(work, event)


def save(event: dict) -> bool:
    """Saves the event, and returns whether it is new."""
    if event["id"] in saved:
        return False
    saved.add(event["id"])
    return True


def work(event: dict) -> None:
    """Your own work. In production, another process reads the events from the table, so that a crash loses none."""
    print(event["type"], event["id"])  # event["data"] may be personal, so it is not logged


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "3000")))
