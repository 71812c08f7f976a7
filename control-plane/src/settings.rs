//! Facts of one control plane, known at start and never changed.

use std::net::SocketAddr;

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
    /// What it is called among its replicas: the host's name, say.
    pub id: String,
    pub version: &'static str,
    pub commit: &'static str,
}

/// A token of the settings. It does not expire and cannot be revoked but by a restart.
#[derive(Clone, Debug)]
pub struct SettingsToken {
    pub name: String,
    pub role: Role,
    /// Of the whole secret.
    pub sha256: Digest,
}
