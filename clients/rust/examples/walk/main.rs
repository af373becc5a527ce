//! A walk through the services, which prints what came of each step as one JSON document.
//!
//! HASHIRAMART_EMAIL, HASHIRAMART_PASSWORD: a member of staff.
//! HASHIRAMART_AUTH, ..._CATALOG, ..._RECOMMENDER, ..._FORECASTER, ..._JOBS: addresses, by default 127.0.0.1:50051 to 50055.
//! HASHIRAMART_TLS_CA, HASHIRAMART_TLS_CERTIFICATE, HASHIRAMART_TLS_KEY: for TLS, the authority and the client's own certificate.

mod connection;

use std::env;
use std::error::Error;
use std::time::{Duration, SystemTime};

use connection::{Connection, connect, outcome, reason_of, retry};
use hashiramart::auth::v1::IssueTokenRequest;
use hashiramart::auth::v1::auth_service_client::AuthServiceClient;
use hashiramart::catalog::v1::catalog_service_client::CatalogServiceClient;
use hashiramart::catalog::v1::import_products_request::Row;
use hashiramart::catalog::v1::{GetProductRequest, ImportProductsRequest, ListProductsRequest, Product};
use hashiramart::forecaster::v1::ForecastSalesRequest;
use hashiramart::forecaster::v1::forecaster_service_client::ForecasterServiceClient;
use hashiramart::jobs::v1::job_event::Event;
use hashiramart::jobs::v1::jobs_service_client::JobsServiceClient;
use hashiramart::jobs::v1::{CancelJobRequest, SubmitEtlJobRequest, WatchJobRequest};
use hashiramart::recommender::v1::ListRecommendationsRequest;
use hashiramart::recommender::v1::recommender_service_client::RecommenderServiceClient;
use serde_json::{Value, json};
use tonic::{Request, Status};

type Step = Result<Value, Status>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let access_token = sign_in(connect("AUTH", 50051, None)?).await?;
    let token = Some(access_token.as_str());
    let mut catalog = CatalogServiceClient::new(connect("CATALOG", 50052, token)?);
    let steps = json!({
        "sign_in": {"signed_in": token.is_some()},
        "import": outcome(import_three(&mut catalog).await),
        "products": outcome(list_products(&mut catalog).await),
        "recommendations": outcome(recommend(connect("RECOMMENDER", 50053, token)?).await),
        "forecast": outcome(forecast(connect("FORECASTER", 50054, token)?).await),
        "job": outcome(run_job(connect("JOBS", 50055, token)?).await),
        "error": outcome(get_product(&mut catalog, "no-such-product").await),
        "invalid": outcome(get_product(&mut catalog, "no such product").await),
        "deadline": outcome(list_in_time(&mut catalog, Duration::from_micros(1)).await),
    });
    println!("{steps:#}");
    Ok(())
}

async fn sign_in(connection: Connection) -> Result<String, Box<dyn Error>> {
    let request = IssueTokenRequest {
        grant_type: "password".into(),
        username: env::var("HASHIRAMART_EMAIL")?,
        password: env::var("HASHIRAMART_PASSWORD")?,
        ..Default::default()
    };
    let token = AuthServiceClient::new(connection).issue_token(request).await?;
    Ok(token.into_inner().access_token)
}

/// Imports three products, one message each. The same products can be imported again.
async fn import_three(catalog: &mut CatalogServiceClient<Connection>) -> Step {
    let rows = (1..=3).map(|number| ImportProductsRequest {
        row: Some(Row::Product(Product {
            id: format!("conformance-{number}"),
            name: format!("Conformance {number}"),
            price_cents: 100 * number,
            stock: 5,
            ..Default::default()
        })),
        ..Default::default()
    });
    let mut request = Request::new(tokio_stream::iter(rows));
    request.set_timeout(Duration::from_secs(60));
    let response = catalog.import_products(request).await?.into_inner();
    Ok(json!({"row_count": response.row_count, "failed_count": response.failed_count}))
}

/// Lists all pages of a search, in order.
async fn list_products(catalog: &mut CatalogServiceClient<Connection>) -> Step {
    let mut request = ListProductsRequest { search: "conformance".into(), order_by: "id".into(), page_size: 2, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = retry(async || catalog.list_products(request.clone()).await).await?.into_inner();
        ids.extend(page.products.into_iter().map(|product| product.id));
        if page.next_page_token.is_empty() {
            return Ok(json!({"ids": ids}));
        }
        request.page_token = page.next_page_token;
    }
}

async fn recommend(connection: Connection) -> Step {
    let mut recommender = RecommenderServiceClient::new(connection);
    let request = ListRecommendationsRequest { page_size: 3, ..Default::default() };
    let page = retry(async || recommender.list_recommendations(request.clone()).await).await?;
    Ok(json!({"count": page.into_inner().recommendations.len()}))
}

async fn forecast(connection: Connection) -> Step {
    let mut forecaster = ForecasterServiceClient::new(connection);
    let request = ForecastSalesRequest { horizon_days: 7, ..Default::default() };
    let response = retry(async || forecaster.forecast_sales(request.clone()).await).await?;
    Ok(json!({"days": response.into_inner().points.len()}))
}

/// Submits a job, retries that as after a lost response, follows the job, cancels it, and follows it to its end.
async fn run_job(connection: Connection) -> Step {
    let mut jobs = JobsServiceClient::new(connection);
    let request = SubmitEtlJobRequest { request_id: unique_id(), ..Default::default() };
    let mut job = retry(async || jobs.submit_etl_job(request.clone()).await).await?.into_inner();
    let repeated = retry(async || jobs.submit_etl_job(request.clone()).await).await?.into_inner();
    let mut watch = Request::new(WatchJobRequest { id: job.id.clone(), ..Default::default() });
    watch.set_timeout(Duration::from_secs(120));
    let mut events = jobs.watch_job(watch).await?.into_inner();
    events.message().await?;
    let cancelled = match jobs.cancel_job(CancelJobRequest { id: job.id.clone() }).await {
        Ok(_) => true,
        Err(status) => reason_of(&status) == "JOB_ENDED",
    };
    while let Some(event) = events.message().await? {
        if let Some(Event::Job(current)) = event.event {
            job = current;
        }
    }
    Ok(json!({"submitted_once": job.id == repeated.id, "cancelled": cancelled, "ended": job.end_time.is_some()}))
}

/// Unique enough for the requests of one caller within a day.
fn unique_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("walk-{}-{}", std::process::id(), now.as_nanos())
}

async fn get_product(catalog: &mut CatalogServiceClient<Connection>, id: &str) -> Step {
    let product = catalog.get_product(GetProductRequest { id: id.into() }).await?;
    Ok(json!({"product": product.into_inner().id}))
}

async fn list_in_time(catalog: &mut CatalogServiceClient<Connection>, timeout: Duration) -> Step {
    let mut request = Request::new(ListProductsRequest::default());
    request.set_timeout(timeout);
    let page = catalog.list_products(request).await?;
    Ok(json!({"products": page.into_inner().products.len()}))
}
