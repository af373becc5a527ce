// Walks through the mesh as a member of staff, and prints one JSON document of the steps: go run ./cmd/scenario [NAME]
//
// NAME begins the ids of the products that it creates. It signs in with HASHIRAMART_EMAIL and HASHIRAMART_PASSWORD.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	auth "hashiramart/gen/hashiramart/auth/v1"
	catalog "hashiramart/gen/hashiramart/catalog/v1"
	forecaster "hashiramart/gen/hashiramart/forecaster/v1"
	jobs "hashiramart/gen/hashiramart/jobs/v1"
	recommender "hashiramart/gen/hashiramart/recommender/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type step map[string]any

type scenario struct {
	name        string
	auth        auth.AuthServiceClient
	catalog     catalog.CatalogServiceClient
	recommender recommender.RecommenderServiceClient
	forecaster  forecaster.ForecasterServiceClient
	jobs        jobs.JobsServiceClient
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	connections := map[string]*grpc.ClientConn{}
	for index, service := range []string{"AUTH", "CATALOG", "RECOMMENDER", "FORECASTER", "JOBS"} {
		connection, err := connect(service, fmt.Sprintf("127.0.0.1:%d", 50051+index))
		if err != nil {
			return err
		}
		defer connection.Close()
		connections[service] = connection
	}
	name := fmt.Sprintf("scenario-%d", time.Now().Unix())
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	walk := scenario{
		name:        name,
		auth:        auth.NewAuthServiceClient(connections["AUTH"]),
		catalog:     catalog.NewCatalogServiceClient(connections["CATALOG"]),
		recommender: recommender.NewRecommenderServiceClient(connections["RECOMMENDER"]),
		forecaster:  forecaster.NewForecasterServiceClient(connections["FORECASTER"]),
		jobs:        jobs.NewJobsServiceClient(connections["JOBS"]),
	}
	document, err := walk.steps()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (s *scenario) steps() (step, error) {
	ctx := context.Background()
	token, err := s.signIn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign_in: %w", err)
	}
	ctx = signedIn(ctx, token.AccessToken)
	document := step{"sign_in": step{"role": token.Scope}}
	for _, each := range []struct {
		name string
		take func(context.Context) (step, error)
	}{
		{"import", s.importProducts},
		{"products", s.listProducts},
		{"request_id", s.createTwice},
		{"recommendations", s.recommend},
		{"forecast", s.forecast},
		{"job", s.runJob},
		{"error", s.fail},
		{"deadline", s.watchUntilDeadline},
	} {
		if document[each.name], err = each.take(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", each.name, err)
		}
	}
	return document, nil
}

func (s *scenario) signIn(ctx context.Context) (*auth.Token, error) {
	request := &auth.IssueTokenRequest{
		GrantType: "password",
		Username:  os.Getenv("HASHIRAMART_EMAIL"),
		Password:  os.Getenv("HASHIRAMART_PASSWORD"),
	}
	return s.auth.IssueToken(ctx, request)
}

// Imports three products, one message each. The same file may be sent again.
func (s *scenario) importProducts(ctx context.Context) (step, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := s.catalog.ImportProducts(ctx)
	if err != nil {
		return nil, err
	}
	for number := range 3 {
		product := &catalog.Product{
			Id:         fmt.Sprintf("%s-%d", s.name, number+1),
			Name:       fmt.Sprintf("Paper lantern %d", number+1),
			Category:   s.name,
			PriceCents: 250,
			Stock:      10,
		}
		row := &catalog.ImportProductsRequest{Row: &catalog.ImportProductsRequest_Product{Product: product}}
		if err := stream.Send(row); err != nil {
			break // CloseAndRecv has the reason.
		}
	}
	outcome, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return step{"rows": outcome.RowCount, "created": outcome.CreatedCount, "failed": outcome.FailedCount}, nil
}

// Lists the imported products, page by page.
func (s *scenario) listProducts(ctx context.Context) (step, error) {
	ids, pages := []string{}, 0
	request := &catalog.ListProductsRequest{Category: s.name, OrderBy: "id", PageSize: 2}
	for {
		page, err := retry(func() (*catalog.ListProductsResponse, error) { return s.catalog.ListProducts(ctx, request) })
		if err != nil {
			return nil, err
		}
		pages++
		for _, product := range page.Products {
			ids = append(ids, product.Id)
		}
		if page.NextPageToken == "" {
			return step{"ids": ids, "pages": pages}, nil
		}
		request.PageToken = page.NextPageToken
	}
}

// Creates a product twice with the same request_id: the second call returns the response of the first.
func (s *scenario) createTwice(ctx context.Context) (step, error) {
	request := &catalog.CreateProductRequest{
		Product:   &catalog.Product{Id: s.name + "-4", Name: "Paper lantern 4", PriceCents: 250},
		RequestId: s.name + "-create",
	}
	create := func() (*catalog.Product, error) { return s.catalog.CreateProduct(ctx, request) }
	first, err := retry(create)
	if err != nil {
		return nil, err
	}
	second, err := retry(create)
	if err != nil {
		return nil, err
	}
	return step{"id": second.Id, "same_response": proto.Equal(first, second)}, nil
}

func (s *scenario) recommend(ctx context.Context) (step, error) {
	request := &recommender.ListRecommendationsRequest{PageSize: 3}
	list, err := retry(func() (*recommender.ListRecommendationsResponse, error) {
		return s.recommender.ListRecommendations(ctx, request)
	})
	if err != nil {
		return nil, err
	}
	ranks := []int32{}
	for _, recommendation := range list.Recommendations {
		ranks = append(ranks, recommendation.Rank)
	}
	return step{"ranks": ranks, "fallback_step": list.FallbackStep.String()}, nil
}

// Forecasts a week. A shop whose forecaster has not been trained yet is no failure of the scenario.
func (s *scenario) forecast(ctx context.Context) (step, error) {
	request := &forecaster.ForecastSalesRequest{HorizonDays: 7, Metric: forecaster.Metric_METRIC_UNITS, Levels: []int32{80}}
	answer, err := retry(func() (*forecaster.ForecastSalesResponse, error) { return s.forecaster.ForecastSales(ctx, request) })
	if reason := reasonOf(err); reason == "NO_MODEL" {
		return step{"reason": reason}, nil
	}
	if err != nil {
		return nil, err
	}
	first := answer.Points[0]
	return step{"days": len(answer.Points), "first_date": first.Date, "mean": first.Mean, "upper": first.Bands[0].Upper}, nil
}

// Submits an ETL job, as a caller does who missed the first response, and follows it to its end.
func (s *scenario) runJob(ctx context.Context) (step, error) {
	request := &jobs.SubmitEtlJobRequest{RequestId: s.name + "-job"}
	submit := func() (*jobs.Job, error) { return s.jobs.SubmitEtlJob(ctx, request) }
	job, err := retry(submit)
	if err != nil {
		return nil, err
	}
	again, err := retry(submit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	stream, err := s.jobs.WatchJob(ctx, &jobs.WatchJobRequest{Id: job.Id})
	if err != nil {
		return nil, err
	}
	states, lines := []string{job.State.String()}, 0
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			return step{"same_job": again.Id == job.Id, "states": states, "has_log": lines > 0}, nil
		}
		if err != nil {
			return nil, err
		}
		if event.GetLogLine() != nil {
			lines++
		} else if state := event.GetJob().State.String(); state != states[len(states)-1] {
			states = append(states, state)
		}
	}
}

// Makes two calls that fail: for a product that does not exist, and with an invalid field.
func (s *scenario) fail(ctx context.Context) (step, error) {
	_, missing := s.catalog.GetProduct(ctx, &catalog.GetProductRequest{Id: s.name + "-missing"})
	_, invalid := s.catalog.ListProducts(ctx, &catalog.ListProductsRequest{PageSize: -1})
	return step{
		"code":           int(status.Code(missing)),
		"reason":         reasonOf(missing),
		"invalid_reason": reasonOf(invalid),
		"invalid_fields": invalidFields(invalid),
	}, nil
}

// Watches the catalogue for one second: the stream shows that it is alive, then reaches its deadline.
func (s *scenario) watchUntilDeadline(ctx context.Context) (step, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stream, err := s.catalog.WatchProducts(ctx, &catalog.WatchProductsRequest{})
	if err != nil {
		return nil, err
	}
	first, err := stream.Recv()
	for err == nil {
		_, err = stream.Recv()
	}
	return step{"first": first.GetKind().String(), "code": int(status.Code(err))}, nil
}
