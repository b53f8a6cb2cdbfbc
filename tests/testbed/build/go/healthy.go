// Answers probes and does nothing else, whatever it is started with.
package main

import (
	"log"
	"net/http"
)

func main() {
	log.Fatal(http.ListenAndServe(":8081", http.HandlerFunc(
		func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusOK) },
	)))
}
