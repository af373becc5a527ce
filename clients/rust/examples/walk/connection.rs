//! Channels with deadlines, TLS and the access token; retries; errors by their stable names.

use std::env;
use std::error::Error;
use std::iter;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, TimeoutExpired};
use tonic_types::StatusExt;

const DEADLINE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;

pub type Connection = InterceptedService<Channel, Caller>;

/// Gives calls a deadline, unless they have one, and makes them as the user of an access token.
#[derive(Clone)]
pub struct Caller {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !request.metadata().contains_key("grpc-timeout") {
            request.set_timeout(DEADLINE);
        }
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

/// A connection to a service, whose address is in the environment: HASHIRAMART_AUTH and so on.
pub fn connect(name: &str, port: u16, access_token: Option<&str>) -> Result<Connection, Box<dyn Error>> {
    let address = env::var(format!("HASHIRAMART_{name}")).unwrap_or(format!("127.0.0.1:{port}"));
    let channel = match tls()? {
        Some(tls) => Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?,
        None => Endpoint::from_shared(format!("http://{address}"))?,
    };
    let authorization = access_token.map(|token| format!("Bearer {token}").parse()).transpose()?;
    Ok(InterceptedService::new(channel.connect_lazy(), Caller { authorization }))
}

/// TLS with the authority in HASHIRAMART_TLS_CA, and where the mesh asks for it the client's own certificate. None for plaintext.
fn tls() -> Result<Option<ClientTlsConfig>, Box<dyn Error>> {
    let Ok(authority) = env::var("HASHIRAMART_TLS_CA") else {
        return Ok(None);
    };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(authority)?));
    let Ok(certificate) = env::var("HASHIRAMART_TLS_CERTIFICATE") else {
        return Ok(Some(tls));
    };
    let key = std::fs::read(env::var("HASHIRAMART_TLS_KEY")?)?;
    Ok(Some(tls.identity(Identity::from_pem(std::fs::read(certificate)?, key))))
}

/// Makes a call again while it fails with UNAVAILABLE. For reads, and for writes with a request_id.
pub async fn retry<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    let mut attempt = 1;
    loop {
        match call().await {
            Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// What came of a step, or the error that it ended with, by its stable names.
pub fn outcome(result: Result<Value, Status>) -> Value {
    result.unwrap_or_else(|status| {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        json!({"code": code_name(code_of(&status)), "reason": reason_of(&status), "fields": fields})
    })
}

/// The stable reason of an error, empty if it has none.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The code of an error. Tonic itself calls a deadline that passed on the client's side CANCELLED.
fn code_of(status: &Status) -> Code {
    let expired = iter::successors(status.source(), |&cause| cause.source()).any(|cause| cause.is::<TimeoutExpired>());
    if expired { Code::DeadlineExceeded } else { status.code() }
}

/// The code's name in gRPC: `NOT_FOUND` for `NotFound`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
