//! Facts of one control plane, known at start and never changed.

use std::{net::SocketAddr, time::Duration};

use serin_proto::address::Networks;

use crate::{auth::Role, secret::Digest};

/// Everything a control plane is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// REST, the console, `/metrics`.
    pub listen: SocketAddr,
    pub grpc_listen: SocketAddr,
    /// Who may use it whatever the store says: how a cluster starts, and the way back when one is
    /// lost.
    pub tokens: Vec<SettingsToken>,
    /// Private and loopback ranges that a provider may be in.
    pub allowed_networks: Networks,
    /// Where the samples of rollouts come from. Never contacted at start.
    pub metrics_source: MetricsSource,
    /// What it is called among its replicas: the host's name, say.
    pub id: String,
    /// Rollouts are told to Prometheus in Flagger's words, too.
    pub flagger_aliases: bool,
    pub version: &'static str,
    pub commit: &'static str,
}

/// Who counted what routers did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetricsSource {
    /// Nobody: no rollout starts.
    #[default]
    None,
    Prometheus {
        /// Its address, a path and `user:password@` included.
        url: String,
    },
    /// The one router of this process, read by ourselves.
    Router {
        metrics_url: String,
        every: Duration,
    },
}

/// A token of the settings. It does not expire and cannot be revoked but by a restart.
#[derive(Clone, Debug)]
pub struct SettingsToken {
    pub name: String,
    pub role: Role,
    /// Of the whole secret.
    pub sha256: Digest,
}
