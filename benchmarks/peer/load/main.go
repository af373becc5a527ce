// Command load asks one server for the same paths over and over, from several connections, and prints how fast it answered.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

func main() {
	address := flag.String("address", "", "host:port of the server")
	connections := flag.Int("connections", 16, "how many ask at the same time, each on a connection of its own")
	duration := flag.Duration("duration", 3*time.Second, "how long they ask")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: load -address HOST:PORT PATH...")
	}

	began := time.Now()
	end := began.Add(*duration)
	latencies := make([][]time.Duration, *connections)
	var asking sync.WaitGroup
	for number := range *connections {
		asking.Go(func() { latencies[number] = ask(*address, flag.Args(), number, end) })
	}
	asking.Wait()
	seconds := time.Since(began).Seconds()

	all := slices.Concat(latencies...)
	slices.Sort(all)
	err := json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"requests":   float64(len(all)),
		"per_second": float64(len(all)) / seconds,
		"p50_ms":     all[len(all)/2].Seconds() * 1000,
		"p99_ms":     all[len(all)*99/100].Seconds() * 1000,
	})
	if err != nil {
		log.Fatal(err)
	}
}

// ask returns how long each answer took. Connections begin at different paths, so that they do not all ask for the same at once.
func ask(address string, paths []string, number int, end time.Time) []time.Duration {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	answers := bufio.NewReaderSize(connection, 64<<10)
	var latencies []time.Duration
	for began := time.Now(); began.Before(end); began = time.Now() {
		path := paths[(number*len(paths)/16+len(latencies))%len(paths)]
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			log.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK {
			log.Fatalf("GET %s: %s", path, answer.Status)
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies
}
