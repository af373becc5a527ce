//! Messages and clients of all services, by package: `hashiramart::catalog::v1::catalog_service_client::CatalogServiceClient`.

mod generated {
    include!("gen/mod.rs");
}

pub use generated::hashiramart::*;
