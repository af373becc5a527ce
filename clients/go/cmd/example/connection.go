package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	deadline = 10 * time.Second
	attempts = 4
)

// A connection to a service, on which each unary call has a deadline.
func connect(address string) (*grpc.ClientConn, error) {
	transport, err := transportCredentials()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(address, grpc.WithTransportCredentials(transport), grpc.WithUnaryInterceptor(withDeadline))
}

// Plaintext, or TLS with the authority in HASHIRAMART_TLS_CA. Where the mesh asks for a client's certificate, it is
// HASHIRAMART_TLS_CERTIFICATE, with its key HASHIRAMART_TLS_KEY.
func transportCredentials() (credentials.TransportCredentials, error) {
	authority := os.Getenv("HASHIRAMART_TLS_CA")
	if authority == "" {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", authority)
	}
	if certificate := os.Getenv("HASHIRAMART_TLS_CERTIFICATE"); certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, os.Getenv("HASHIRAMART_TLS_KEY"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config), nil
}

// Gives each unary call a deadline, unless it has one.
func withDeadline(ctx context.Context, method string, request, response any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
	}
	return invoke(ctx, method, request, response, connection, options...)
}

// A context whose calls are made as the user of an access token.
func signedIn(ctx context.Context, accessToken string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+accessToken)
}

// Makes a call again while it fails with UNAVAILABLE. For reads, and for writes with a request_id.
func retry[R any](call func() (R, error)) (R, error) {
	pause := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		response, err := call()
		if status.Code(err) != codes.Unavailable || attempt == attempts {
			return response, err
		}
		time.Sleep(pause)
		pause *= 2
	}
}

// The stable reason of an error, empty if it has none.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

// The fields of the request that an INVALID_ARGUMENT error names.
func invalidFields(err error) []string {
	fields := []string{}
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.FieldViolations {
				fields = append(fields, violation.Field)
			}
		}
	}
	return fields
}

// What came of a step, or the error that it ended with, by its stable names.
func outcome(result step, err error) step {
	if err == nil {
		return result
	}
	return step{"code": code.Code(status.Code(err)).String(), "reason": reasonOf(err), "fields": invalidFields(err)}
}
