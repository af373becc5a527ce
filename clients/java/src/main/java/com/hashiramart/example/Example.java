package com.hashiramart.example;

import static com.hashiramart.example.Connection.connect;
import static com.hashiramart.example.Connection.outcome;
import static com.hashiramart.example.Connection.reasonOf;
import static com.hashiramart.example.Connection.retry;

import com.google.gson.GsonBuilder;
import com.hashiramart.auth.v1.AuthServiceGrpc;
import com.hashiramart.auth.v1.IssueTokenRequest;
import com.hashiramart.catalog.v1.CatalogServiceGrpc;
import com.hashiramart.catalog.v1.GetProductRequest;
import com.hashiramart.catalog.v1.ImportProductsRequest;
import com.hashiramart.catalog.v1.ImportProductsResponse;
import com.hashiramart.catalog.v1.ListProductsRequest;
import com.hashiramart.catalog.v1.ListProductsResponse;
import com.hashiramart.catalog.v1.Product;
import com.hashiramart.forecaster.v1.ForecastSalesRequest;
import com.hashiramart.forecaster.v1.ForecasterServiceGrpc;
import com.hashiramart.jobs.v1.CancelJobRequest;
import com.hashiramart.jobs.v1.Job;
import com.hashiramart.jobs.v1.JobEvent;
import com.hashiramart.jobs.v1.JobsServiceGrpc;
import com.hashiramart.jobs.v1.SubmitEtlJobRequest;
import com.hashiramart.jobs.v1.WatchJobRequest;
import com.hashiramart.recommender.v1.ListRecommendationsRequest;
import com.hashiramart.recommender.v1.RecommenderServiceGrpc;
import io.grpc.ClientInterceptor;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * A walk through the services, which prints what came of each step as one JSON document.
 *
 * <p>HASHIRAMART_EMAIL, HASHIRAMART_PASSWORD: a member of staff. HASHIRAMART_AUTH, ..._CATALOG, ..._RECOMMENDER, ..._FORECASTER,
 * ..._JOBS: addresses, by default 127.0.0.1:50051 to 50055. HASHIRAMART_TLS_CA, HASHIRAMART_TLS_CERTIFICATE, HASHIRAMART_TLS_KEY: for
 * TLS, the authority and the client's own certificate.
 */
public final class Example {
    private final CatalogServiceGrpc.CatalogServiceBlockingStub catalog;
    private final CatalogServiceGrpc.CatalogServiceStub asyncCatalog;
    private final RecommenderServiceGrpc.RecommenderServiceBlockingStub recommender;
    private final ForecasterServiceGrpc.ForecasterServiceBlockingStub forecaster;
    private final JobsServiceGrpc.JobsServiceBlockingStub jobs;

    private Example(List<ManagedChannel> channels, ClientInterceptor caller) {
        catalog = CatalogServiceGrpc.newBlockingStub(channels.get(1)).withInterceptors(caller);
        asyncCatalog = CatalogServiceGrpc.newStub(channels.get(1)).withInterceptors(caller);
        recommender = RecommenderServiceGrpc.newBlockingStub(channels.get(2)).withInterceptors(caller);
        forecaster = ForecasterServiceGrpc.newBlockingStub(channels.get(3)).withInterceptors(caller);
        jobs = JobsServiceGrpc.newBlockingStub(channels.get(4)).withInterceptors(caller);
    }

    public static void main(String[] arguments) throws Exception {
        List<ManagedChannel> channels = List.of(
                connect("AUTH", 50051),
                connect("CATALOG", 50052),
                connect("RECOMMENDER", 50053),
                connect("FORECASTER", 50054),
                connect("JOBS", 50055));
        try {
            String token = signIn(AuthServiceGrpc.newBlockingStub(channels.get(0)));
            Map<String, Object> steps = new Example(channels, Connection.signedIn(token)).steps();
            System.out.println(new GsonBuilder().setPrettyPrinting().create().toJson(steps));
        } finally {
            channels.forEach(ManagedChannel::shutdownNow);
        }
    }

    private static String signIn(AuthServiceGrpc.AuthServiceBlockingStub auth) {
        IssueTokenRequest request = IssueTokenRequest.newBuilder()
                .setGrantType("password")
                .setUsername(System.getenv("HASHIRAMART_EMAIL"))
                .setPassword(System.getenv("HASHIRAMART_PASSWORD"))
                .build();
        return auth.issueToken(request).getAccessToken();
    }

    private Map<String, Object> steps() throws Exception {
        Map<String, Object> steps = new LinkedHashMap<>();
        steps.put("sign_in", Map.of("signed_in", true));
        steps.put("import", outcome(this::importThree));
        steps.put("products", outcome(this::listProducts));
        steps.put("recommendations", outcome(this::recommend));
        steps.put("forecast", outcome(this::forecast));
        steps.put("job", outcome(this::runJob));
        steps.put("error", outcome(() -> getProduct("no-such-product")));
        steps.put("invalid", outcome(() -> getProduct("no such product")));
        steps.put("deadline", outcome(() -> listInTime(1)));
        return steps;
    }

    /** Imports three products, one message each. The same products can be imported again. */
    private Map<String, Object> importThree() throws Exception {
        CompletableFuture<ImportProductsResponse> outcome = new CompletableFuture<>();
        StreamObserver<ImportProductsRequest> rows = asyncCatalog
                .withDeadlineAfter(60, TimeUnit.SECONDS)
                .importProducts(new SingleResponse<>(outcome));
        for (int number = 1; number <= 3; number++) {
            Product product = Product.newBuilder()
                    .setId("conformance-" + number)
                    .setName("Conformance " + number)
                    .setPriceCents(100 * number)
                    .setStock(5)
                    .build();
            rows.onNext(ImportProductsRequest.newBuilder().setProduct(product).build());
        }
        rows.onCompleted();
        try {
            ImportProductsResponse response = outcome.get();
            return Map.of("row_count", response.getRowCount(), "failed_count", response.getFailedCount());
        } catch (ExecutionException error) {
            throw error.getCause() instanceof StatusRuntimeException status ? status : error;
        }
    }

    /** Lists all pages of a search, in order. */
    private Map<String, Object> listProducts() throws InterruptedException {
        List<String> ids = new ArrayList<>();
        String token = "";
        do {
            ListProductsRequest request = ListProductsRequest.newBuilder()
                    .setSearch("conformance")
                    .setOrderBy("id")
                    .setPageSize(2)
                    .setPageToken(token)
                    .build();
            ListProductsResponse page = retry(() -> catalog.listProducts(request));
            page.getProductsList().forEach(product -> ids.add(product.getId()));
            token = page.getNextPageToken();
        } while (!token.isEmpty());
        return Map.of("ids", ids);
    }

    private Map<String, Object> recommend() throws InterruptedException {
        ListRecommendationsRequest request = ListRecommendationsRequest.newBuilder().setPageSize(3).build();
        return Map.of("count", retry(() -> recommender.listRecommendations(request)).getRecommendationsCount());
    }

    private Map<String, Object> forecast() throws InterruptedException {
        ForecastSalesRequest request = ForecastSalesRequest.newBuilder().setHorizonDays(7).build();
        return Map.of("days", retry(() -> forecaster.forecastSales(request)).getPointsCount());
    }

    /** Submits a job, retries that as after a lost response, follows the job, cancels it, and follows it to its end. */
    private Map<String, Object> runJob() throws InterruptedException {
        SubmitEtlJobRequest request = SubmitEtlJobRequest.newBuilder().setRequestId(UUID.randomUUID().toString()).build();
        Job job = retry(() -> jobs.submitEtlJob(request));
        Job repeated = retry(() -> jobs.submitEtlJob(request));
        Iterator<JobEvent> events = jobs.withDeadlineAfter(120, TimeUnit.SECONDS)
                .watchJob(WatchJobRequest.newBuilder().setId(job.getId()).build());
        events.next();
        boolean cancelled = cancel(job.getId());
        while (events.hasNext()) {
            JobEvent event = events.next();
            job = event.hasJob() ? event.getJob() : job;
        }
        boolean once = job.getId().equals(repeated.getId());
        return Map.of("submitted_once", once, "cancelled", cancelled, "ended", job.hasEndTime());
    }

    /** Cancels a job; true also if it has ended already. */
    private boolean cancel(String id) {
        try {
            jobs.cancelJob(CancelJobRequest.newBuilder().setId(id).build());
            return true;
        } catch (StatusRuntimeException error) {
            return reasonOf(error).equals("JOB_ENDED");
        }
    }

    private Map<String, Object> getProduct(String id) {
        return Map.of("product", catalog.getProduct(GetProductRequest.newBuilder().setId(id).build()).getId());
    }

    private Map<String, Object> listInTime(long microseconds) {
        ListProductsResponse page = catalog.withDeadlineAfter(microseconds, TimeUnit.MICROSECONDS)
                .listProducts(ListProductsRequest.getDefaultInstance());
        return Map.of("products", page.getProductsCount());
    }

    /** Completes a future with the response or the error of a call that streams its requests. */
    private record SingleResponse<T>(CompletableFuture<T> future) implements StreamObserver<T> {
        @Override
        public void onNext(T response) {
            future.complete(response);
        }

        @Override
        public void onError(Throwable error) {
            future.completeExceptionally(error);
        }

        @Override
        public void onCompleted() {}
    }
}
