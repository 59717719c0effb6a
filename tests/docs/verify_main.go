// Reads a request as JSON, calls the snippet verify.go of the docs, and prints its result. tests/it/docs.rs builds both.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	var request struct {
		Secret, Body string
		Headers      map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	headers := http.Header{}
	for name, value := range request.Headers {
		headers.Set(name, value)
	}
	fmt.Println(verify(request.Secret, headers, []byte(request.Body)))
}
