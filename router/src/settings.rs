//! Facts of one router process, known before the first snapshot and never changed.

use std::{fs::File, net::SocketAddr, path::PathBuf, time::Duration};

use serin_proto::address::Networks;

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Every call needs a key of the configuration.
    Required,
    /// Anybody may call anything. Only when it was written out.
    None,
}

/// How long a stopping router goes on.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Time it still accepts while it already says that it is not ready.
    pub grace: Duration,
    /// Longest wait for running requests after that.
    pub limit: Duration,
}

/// Where access lines go.
#[derive(Debug)]
pub enum AccessLog {
    Stdout,
    File(File),
    Off,
}

/// Everything a router is told at start.
#[derive(Debug)]
pub struct Settings {
    /// What this router is called in the fleet: its host name unless it was told.
    pub id: String,
    /// Where the last good documents of a store are kept for a start without it; `None`: nowhere.
    pub state_dir: Option<PathBuf>,
    pub listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Worker threads, at least 1.
    pub workers: usize,
    pub auth: Auth,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    pub drain: Drain,
    /// Private and loopback ranges that a provider may resolve to.
    pub allowed_networks: Networks,
    pub access_log: AccessLog,
    pub version: &'static str,
    pub commit: &'static str,
}
