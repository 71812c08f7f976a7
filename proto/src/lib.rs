//! The contract: every document, defined once, and the words other programs see.
//!
//! The generated types are [`v1`]. A text becomes documents in [`yaml`], documents become faults or
//! none in [`validate`]; [`mod@unit`], [`name`], [`address`] and [`base_url`] are what their values mean.
//! One document alone is a [`document::Document`]; all of a store's, and which of them serve, are in
//! [`admission`]. [`key`] says where they lie, [`token`] who may change them, [`fleet`] what routers
//! tell of themselves.
//! Metric and header names are constants, so that who writes and who reads them cannot differ.
//!
//! No async, no clock, no I/O, no randomness here; the dependency list is the proof.

pub mod address;
pub mod admission;
pub mod base_url;
pub mod document;
pub mod exposition;
pub mod fault;
pub mod fleet;
pub mod header;
mod json;
pub mod key;
pub mod metric;
pub mod name;
pub mod schema;
mod suggest;
pub mod token;
mod tree;
pub mod unit;
pub mod validate;
pub mod yaml;

pub use fault::Fault;

/// The documents as generated from `serin/v1/*.proto`, with their proto3 JSON mapping.
#[expect(clippy::too_many_lines, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/serin.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/serin.v1.serde.rs"));
}
