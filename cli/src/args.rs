//! What may be written on the command line. Every flag has an environment twin.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args as Flags, Parser, Subcommand, ValueEnum};

/// A gateway for LLMs that treats a change of model like a change of software.
#[derive(Debug, Parser)]
#[command(name = "serin", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process, configured by a file that is followed.
    Up(Up),
    /// The data plane alone.
    Router(Router),
    /// A provider that follows a script.
    Simulate(Simulate),
    /// Every fault of document files, with file:line:column.
    Validate(Validate),
    /// No key, no file: two simulated models behind one route.
    Demo(Demo),
}

#[derive(Debug, Flags)]
pub(crate) struct Up {
    /// Settings and documents.
    #[arg(
        long,
        env = "SERIN_CONFIG",
        default_value = "serin.yaml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    /// Where an embedded store would live. Accepted; nothing is stored yet.
    #[arg(
        long,
        env = "SERIN_DATA_DIR",
        default_value = "./serin-data",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

#[derive(Debug, Flags)]
pub(crate) struct Router {
    /// Where documents come from: file:PATH.
    #[arg(long, env = "SERIN_STORE", value_name = "STORE")]
    pub(crate) store: Store,
    /// Settings, if they are not in the store's own file.
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
}

/// Settings that flags may override.
#[derive(Debug, Default, Flags)]
pub(crate) struct ServerFlags {
    /// Address of the traffic listener (127.0.0.1:8080).
    #[arg(long, env = "SERIN_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of the admin listener (127.0.0.1:8081).
    #[arg(long, env = "SERIN_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// Worker threads (available parallelism).
    #[arg(long, env = "SERIN_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Whether callers need a key.
    #[arg(long, env = "SERIN_AUTH", value_name = "WORD")]
    pub(crate) auth: Option<AuthWord>,
    /// Form of the log on stderr.
    #[arg(long, env = "SERIN_LOG_FORMAT", value_name = "WORD")]
    pub(crate) log_format: Option<LogFormat>,
    /// Least level that is logged.
    #[arg(long, env = "SERIN_LOG_LEVEL", value_name = "WORD")]
    pub(crate) log_level: Option<LogLevel>,
    /// Set in the container image: listeners bind 0.0.0.0 unless told otherwise.
    #[arg(long, env = "SERIN_CONTAINER", hide = true, num_args = 0..=1, default_missing_value = "1")]
    pub(crate) container: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthWord {
    Required,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Json,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Flags)]
pub(crate) struct Simulate {
    /// What it says and how it fails; JSON or YAML. Without: a short answer to everything.
    #[arg(long, env = "SERIN_SCRIPT", value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,
    #[arg(
        long,
        env = "SERIN_LISTEN",
        default_value = "127.0.0.1:8070",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Flags)]
pub(crate) struct Validate {
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Flags)]
pub(crate) struct Demo {
    /// Address of the traffic listener.
    #[arg(
        long,
        env = "SERIN_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS"
    )]
    pub(crate) listen: SocketAddr,
    /// Address of the admin listener.
    #[arg(
        long,
        env = "SERIN_ADMIN_LISTEN",
        default_value = "127.0.0.1:8081",
        value_name = "ADDRESS"
    )]
    pub(crate) admin_listen: SocketAddr,
    /// Address of the simulated provider.
    #[arg(
        long,
        env = "SERIN_SIMULATOR_LISTEN",
        default_value = "127.0.0.1:8070",
        value_name = "ADDRESS"
    )]
    pub(crate) simulator_listen: SocketAddr,
}

/// Where documents come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    File(PathBuf),
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("etcd", _)) => Err("etcd is not built yet: use file:PATH".to_owned()),
            _ => Err("write file:PATH".to_owned()),
        }
    }
}
