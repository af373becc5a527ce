// A walk through the services, which prints what came of each step as one JSON document.
//
// HASHIRAMART_EMAIL, HASHIRAMART_PASSWORD: a member of staff.
// HASHIRAMART_AUTH, ..._CATALOG, ..._RECOMMENDER, ..._FORECASTER, ..._JOBS: addresses, by default 127.0.0.1:50051 to 50055.
// HASHIRAMART_TLS_CA, HASHIRAMART_TLS_CERTIFICATE, HASHIRAMART_TLS_KEY: for TLS, the authority and the client's own certificate.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
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
)

type step map[string]any

type walk struct {
	auth        auth.AuthServiceClient
	catalog     catalog.CatalogServiceClient
	recommender recommender.RecommenderServiceClient
	forecaster  forecaster.ForecasterServiceClient
	jobs        jobs.JobsServiceClient
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	connections := map[string]*grpc.ClientConn{}
	for index, name := range []string{"AUTH", "CATALOG", "RECOMMENDER", "FORECASTER", "JOBS"} {
		address := cmp.Or(os.Getenv("HASHIRAMART_"+name), fmt.Sprintf("127.0.0.1:%d", 50051+index))
		connection, err := connect(address)
		if err != nil {
			return err
		}
		defer connection.Close()
		connections[name] = connection
	}
	services := walk{
		auth:        auth.NewAuthServiceClient(connections["AUTH"]),
		catalog:     catalog.NewCatalogServiceClient(connections["CATALOG"]),
		recommender: recommender.NewRecommenderServiceClient(connections["RECOMMENDER"]),
		forecaster:  forecaster.NewForecasterServiceClient(connections["FORECASTER"]),
		jobs:        jobs.NewJobsServiceClient(connections["JOBS"]),
	}
	token, err := services.signIn(ctx)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(services.steps(signedIn(ctx, token.AccessToken)))
}

func (w walk) steps(ctx context.Context) map[string]step {
	return map[string]step{
		"sign_in":         {"signed_in": true},
		"import":          outcome(w.importThree(ctx)),
		"products":        outcome(w.listProducts(ctx)),
		"recommendations": outcome(w.recommend(ctx)),
		"forecast":        outcome(w.forecast(ctx)),
		"job":             outcome(w.runJob(ctx)),
		"error":           outcome(w.getProduct(ctx, "no-such-product")),
		"invalid":         outcome(w.getProduct(ctx, "no such product")),
		"deadline":        outcome(w.listInTime(ctx, time.Microsecond)),
	}
}

func (w walk) signIn(ctx context.Context) (*auth.Token, error) {
	return w.auth.IssueToken(ctx, &auth.IssueTokenRequest{
		GrantType: "password",
		Username:  os.Getenv("HASHIRAMART_EMAIL"),
		Password:  os.Getenv("HASHIRAMART_PASSWORD"),
	})
}

// Imports three products, one message each. The same products can be imported again.
func (w walk) importThree(ctx context.Context) (step, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := w.catalog.ImportProducts(ctx)
	if err != nil {
		return nil, err
	}
	for number := int32(1); number <= 3; number++ {
		product := &catalog.Product{
			Id:         fmt.Sprintf("conformance-%d", number),
			Name:       fmt.Sprintf("Conformance %d", number),
			PriceCents: 100 * number,
			Stock:      5,
		}
		row := &catalog.ImportProductsRequest{Row: &catalog.ImportProductsRequest_Product{Product: product}}
		if err := stream.Send(row); err == io.EOF {
			break // The service has ended the call; CloseAndRecv says why.
		} else if err != nil {
			return nil, err
		}
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return nil, err
	}
	return step{"row_count": response.RowCount, "failed_count": response.FailedCount}, nil
}

// Lists all pages of a search, in order.
func (w walk) listProducts(ctx context.Context) (step, error) {
	request := &catalog.ListProductsRequest{Search: "conformance", OrderBy: "id", PageSize: 2}
	ids := []string{}
	for {
		page, err := retry(func() (*catalog.ListProductsResponse, error) { return w.catalog.ListProducts(ctx, request) })
		if err != nil {
			return nil, err
		}
		for _, product := range page.Products {
			ids = append(ids, product.Id)
		}
		if page.NextPageToken == "" {
			return step{"ids": ids}, nil
		}
		request.PageToken = page.NextPageToken
	}
}

func (w walk) recommend(ctx context.Context) (step, error) {
	request := &recommender.ListRecommendationsRequest{PageSize: 3}
	page, err := retry(func() (*recommender.ListRecommendationsResponse, error) {
		return w.recommender.ListRecommendations(ctx, request)
	})
	return step{"count": len(page.GetRecommendations())}, err
}

func (w walk) forecast(ctx context.Context) (step, error) {
	request := &forecaster.ForecastSalesRequest{HorizonDays: 7}
	response, err := retry(func() (*forecaster.ForecastSalesResponse, error) { return w.forecaster.ForecastSales(ctx, request) })
	return step{"days": len(response.GetPoints())}, err
}

// Submits a job, retries that as after a lost response, follows the job, cancels it, and follows it to its end.
func (w walk) runJob(ctx context.Context) (step, error) {
	request := &jobs.SubmitEtlJobRequest{RequestId: rand.Text()}
	submit := func() (*jobs.Job, error) { return w.jobs.SubmitEtlJob(ctx, request) }
	job, err := retry(submit)
	if err != nil {
		return nil, err
	}
	repeated, err := retry(submit)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	events, err := w.jobs.WatchJob(ctx, &jobs.WatchJobRequest{Id: job.Id})
	if err != nil {
		return nil, err
	}
	if _, err := events.Recv(); err != nil {
		return nil, err
	}
	_, err = w.jobs.CancelJob(ctx, &jobs.CancelJobRequest{Id: job.Id})
	cancelled := err == nil || reasonOf(err) == "JOB_ENDED"
	for {
		event, err := events.Recv()
		if err == io.EOF {
			return step{"submitted_once": repeated.Id == job.Id, "cancelled": cancelled, "ended": job.EndTime != nil}, nil
		}
		if err != nil {
			return nil, err
		}
		if current := event.GetJob(); current != nil {
			job = current
		}
	}
}

func (w walk) getProduct(ctx context.Context, id string) (step, error) {
	product, err := w.catalog.GetProduct(ctx, &catalog.GetProductRequest{Id: id})
	return step{"product": product.GetId()}, err
}

func (w walk) listInTime(ctx context.Context, timeout time.Duration) (step, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	page, err := w.catalog.ListProducts(ctx, &catalog.ListProductsRequest{})
	return step{"products": len(page.GetProducts())}, err
}
