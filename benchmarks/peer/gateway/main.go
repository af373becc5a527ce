// Command gateway serves the contracts as REST by grpc-gateway: the reference for the behaviour and speed of the Python gateway.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the types of error details
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
)

func main() {
	listen := flag.String("listen", "", "where to serve")
	backend := flag.String("backend", "", "the gRPC server that answers for every service")
	flag.Parse()

	connection, err := grpc.NewClient(*backend, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	// JSON with the field names of the contracts and with default values.
	mux := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}))
	// All services of the contracts, from code that is generated with theirs.
	for _, register := range services {
		if err := register(context.Background(), mux, connection); err != nil {
			log.Fatal(err)
		}
	}
	// Each call is under its version as well. A ServeMux of net/http would redirect paths such as `//products`.
	versioned := http.StripPrefix("/v1", mux)
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		if strings.HasPrefix(request.URL.Path, "/v1/") {
			versioned.ServeHTTP(response, request)
		} else {
			mux.ServeHTTP(response, request)
		}
	})))
}
