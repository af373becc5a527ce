// Command load requests the same paths of a server repeatedly over several connections, and prints its throughput and latencies.
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
	rate := flag.Float64("rate", 0, "how many requests a second all together send, whatever comes of them; if 0, each sends the next once answered")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: [TOKEN=...] load -address HOST:PORT PATH...")
	}

	header := ""
	// Not a flag, as all users of the machine can read command lines.
	if token := os.Getenv("TOKEN"); token != "" {
		header = fmt.Sprintf("Authorization: Bearer %s\r\n", token)
	}
	began := time.Now()
	end := began.Add(*duration)
	// The time at which a connection sends its count-th request.
	due := func(number, count int) time.Time {
		if *rate == 0 {
			return time.Now()
		}
		return began.Add(time.Duration(float64(count**connections+number) / *rate * float64(time.Second)))
	}
	latencies := make([][]time.Duration, *connections)
	var asking sync.WaitGroup
	for number := range *connections {
		asking.Go(func() { latencies[number] = ask(*address, header, flag.Args(), number, due, end) })
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

// ask returns the latency of each response since its request was due, which includes the wait for earlier responses.
// Connections begin at different paths, so that they do not all request the same one at a time.
func ask(address, header string, paths []string, number int, due func(number, count int) time.Time, end time.Time) []time.Duration {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	answers := bufio.NewReaderSize(connection, 64<<10)
	var latencies []time.Duration
	for began := due(number, 0); began.Before(end); began = due(number, len(latencies)) {
		time.Sleep(time.Until(began))
		path := paths[(number*len(paths)/16+len(latencies))%len(paths)]
		fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, address, header)
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
