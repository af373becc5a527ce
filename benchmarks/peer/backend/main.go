// Command backend is a catalogue of fifty products in memory: its own cost is negligible, so that gateways in front of it can be compared.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "hashiramart/peer/contracts/hashiramart/catalog/v1"
)

type catalog struct {
	catalogv1.UnimplementedCatalogServiceServer
	page *catalogv1.ListProductsResponse
}

func (c *catalog) GetProduct(context.Context, *catalogv1.GetProductRequest) (*catalogv1.Product, error) {
	return c.page.Products[0], nil
}

func (c *catalog) ListProducts(context.Context, *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	return c.page, nil
}

func fifty() *catalogv1.ListProductsResponse {
	page := &catalogv1.ListProductsResponse{NextPageToken: "eyJwbGFjZSI6WyI4NTA0OSJdfQ.5b1d7c0e"}
	opened := time.Date(2009, 12, 1, 7, 45, 0, 0, time.UTC)
	for number := range int32(50) {
		page.Products = append(page.Products, &catalogv1.Product{
			Id:           fmt.Sprintf("85%03dA", number),
			Name:         "WHITE HANGING HEART T-LIGHT HOLDER",
			Description:  "A heart of white metal that holds one tea light; hangs from a cord.",
			Category:     "Candles & lights",
			PriceCents:   295 + number,
			CurrencyCode: "GBP",
			Stock:        480 + number,
			CreateTime:   timestamppb.New(opened.Add(time.Duration(number) * time.Hour)),
			UpdateTime:   timestamppb.New(opened.Add(time.Duration(number)*24*time.Hour + 123456*time.Microsecond)),
			Etag:         fmt.Sprintf("v%d", number+1),
		})
	}
	return page
}

func main() {
	listen := flag.String("listen", "", "where to serve")
	flag.Parse()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	catalogv1.RegisterCatalogServiceServer(server, &catalog{page: fifty()})
	log.Fatal(server.Serve(listener))
}
