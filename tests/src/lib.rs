//! The stage of the end-to-end stories: real programs, real sockets, scripted providers.
//!
//! A story starts a [`World`] (a folder that goes away with it), simulators and a [`Serin`] in it,
//! acts as a caller through [`client`], and asks the simulator's journal what the provider saw.
//! Always: every program listens on a free loopback port and ends with the story, whatever
//! happens; nothing waits for a fixed time. Not here: what is promised (`story/`).

pub mod api;
pub mod applied;
pub mod client;
pub mod command;
pub mod control_plane;
pub mod etcd;
mod eventually;
pub mod gateway;
pub mod guest;
pub mod load;
pub mod metrics;
pub mod namespace;
mod port;
pub mod process;
pub mod prometheus;
pub mod rollouts;
pub mod router;
pub mod scenarios;
pub mod scripted_http;
pub mod scripted_prometheus;
pub mod scripted_routers;
pub mod serin;
pub mod shared;
pub mod simulator;
pub mod sse;
pub mod wire;

use std::path::PathBuf;

use tempfile::TempDir;

pub use api::{Api, Apis};
pub use control_plane::ControlPlane;
pub use eventually::eventually;
pub use gateway::Gateway;
pub use load::Load;
pub use port::free_address;
pub use prometheus::Prometheus;
pub use rollouts::Rollout;
pub use router::Router;
pub use serin::Serin;
pub use simulator::Simulator;

/// A folder for one story.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
}

impl World {
    /// # Panics
    /// When no temporary folder can be made.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a folder: not a value to default to"
    )]
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("serin-story-").expect("a temporary folder can be made");
        Self { folder }
    }

    /// Where a file of that name lies or will lie.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and tells where.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the story's folder can be written");
        path
    }
}
