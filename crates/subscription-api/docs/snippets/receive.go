package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	// go get github.com/standard-webhooks/standard-webhooks/libraries
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type Event struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

var saved sync.Map // in production: a table with a unique key on the id of the event

func main() {
	secret := os.Getenv("WEBHOOK_SECRET") // whsec_…
	if secret == "" {
		log.Fatal("Set WEBHOOK_SECRET to the secret of the webhook.")
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/webhooks", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "send POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || webhook.Verify(body, r.Header) != nil {
			http.Error(w, "the signature is not valid", http.StatusBadRequest)
			return
		}
		var event Event
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		isNew := save(event) // fast, because Postrider waits 15 seconds at most
		w.WriteHeader(http.StatusNoContent)
		if isNew {
			go work(event)
		}
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	log.Fatal(http.ListenAndServe(":"+port, nil))
}

// save returns whether the event is new.
func save(event Event) bool {
	_, known := saved.LoadOrStore(event.ID, true)
	return !known
}

// work is your own work. In production, another process reads the events from the table, so that a crash loses none.
func work(event Event) {
	log.Print(event.Type, " ", event.ID) // event.Data may be personal, so it is not logged
}
