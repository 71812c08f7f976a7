//! Where documents live, and how one follows them.
//!
//! ```text
//!   a YAML file ──▶ file.rs ──┐
//!                             ├──▶ watch::Event stream ──▶ Follower ──▶ router
//!   (etcd, redb: later)  ─────┘
//! ```
//!
//! The crate knows keys and bytes; what a document means is `proto`'s. A router is given a
//! [`Follower`] and nothing else: it can read, it cannot write, and it cannot tell where the
//! documents come from.

pub mod file;
mod follower;
pub mod watch;

pub use follower::{Feed, Follower, follow};
