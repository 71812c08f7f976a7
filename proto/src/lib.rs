//! The contract: every document, defined once.

pub mod metric;

#[allow(clippy::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/serin.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/serin.v1.serde.rs"));
}
