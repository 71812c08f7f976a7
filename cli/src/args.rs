//! What may be written on the command line. Every flag has an environment twin.

pub(crate) mod remote;
pub(crate) mod rollout;
mod words;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as Flags, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};

use crate::store_address::StoreAddress;

/// As `exit.rs` has them.
const EXITS: &str = "Exit codes: 0 ok, 1 error, 2 usage, 3 conflict or not possible now, 4 not found, \
                     5 rollout failed, 6 timed out";

/// A gateway for LLMs that treats a change of model like a change of software.
#[derive(Debug, Parser)]
#[command(name = "serin", version, after_help = EXITS)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process, with an embedded store.
    Up(Up),
    /// The data plane alone.
    Router(Router),
    /// The control plane alone.
    ControlPlane(ControlPlane),
    /// A provider that follows a script.
    Simulate(Simulate),
    /// Every fault of document files, with file:line:column.
    Validate(Validate),
    /// No key, no file: a rollout between two simulated models.
    Demo(Demo),
    #[command(flatten)]
    Remote(remote::Verb),
    /// Prints a shell's completions.
    Completion(Completion),
}

#[derive(Debug, Flags)]
pub(crate) struct Up {
    /// Settings, and documents applied at start, on change and on SIGHUP. Without it, and without a
    /// ./serin.yaml: default settings and whatever the store holds.
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the embedded store lives.
    #[arg(
        long,
        env = "SERIN_DATA_DIR",
        default_value = "./serin-data",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,
    #[command(flatten)]
    pub(crate) common: ServerFlags,
    #[command(flatten)]
    pub(crate) control_plane: ControlPlaneFlags,
    #[command(flatten)]
    pub(crate) router: RouterFlags,
}

#[derive(Debug, Flags)]
pub(crate) struct Router {
    /// Where documents come from: etcd://HOST:PORT[,HOST:PORT…] or file:PATH.
    #[arg(long, env = "SERIN_STORE", value_name = "STORE")]
    pub(crate) store: StoreAddress,
    /// Settings, if they are not in the store's own file.
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for the last good snapshot, from which it serves when it starts without the store.
    #[arg(long, env = "SERIN_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Name under which it announces itself (the host's name).
    #[arg(long, env = "SERIN_ID", value_parser = words::shown_name, value_name = "NAME")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) common: ServerFlags,
    #[command(flatten)]
    pub(crate) router: RouterFlags,
}

#[derive(Debug, Flags)]
pub(crate) struct ControlPlane {
    /// The cluster's store: etcd://HOST:PORT[,HOST:PORT…].
    #[arg(long, env = "SERIN_STORE", value_name = "STORE")]
    pub(crate) store: StoreAddress,
    /// Settings.
    #[arg(long, env = "SERIN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: ServerFlags,
    #[command(flatten)]
    pub(crate) control_plane: ControlPlaneFlags,
}

/// Settings of every server that flags may override.
#[derive(Debug, Default, Flags)]
pub(crate) struct ServerFlags {
    /// Form of the log on stderr.
    #[arg(long, env = "SERIN_LOG_FORMAT", value_name = "WORD")]
    pub(crate) log_format: Option<LogFormat>,
    /// Least level that is logged.
    #[arg(long, env = "SERIN_LOG_LEVEL", value_name = "WORD")]
    pub(crate) log_level: Option<LogLevel>,
    /// Set in the container image: listeners bind 0.0.0.0 unless told otherwise.
    #[arg(long, env = "SERIN_CONTAINER", hide = true, value_parser = FalseyValueParser::new())]
    pub(crate) container: bool,
}

/// Settings of a router that flags may override.
#[derive(Debug, Default, Flags)]
pub(crate) struct RouterFlags {
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
}

/// Settings of a control plane that flags may override.
#[derive(Debug, Default, Flags)]
pub(crate) struct ControlPlaneFlags {
    /// Address of the REST API (127.0.0.1:8090).
    #[arg(long, env = "SERIN_API_LISTEN", value_name = "ADDRESS")]
    pub(crate) api_listen: Option<SocketAddr>,
    /// Address of the gRPC API (127.0.0.1:8091).
    #[arg(long, env = "SERIN_GRPC_LISTEN", value_name = "ADDRESS")]
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// Prometheus that scrapes the routers: what rollouts are judged by (`serin up`: the router's
    /// own metrics). It may hold user:password@ and a path.
    #[arg(long, env = "SERIN_PROMETHEUS", value_parser = words::http_url, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
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
    /// Address of its listener.
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
    /// Documents files, each a whole by itself.
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
    /// Address of the REST API.
    #[arg(
        long,
        env = "SERIN_API_LISTEN",
        default_value = "127.0.0.1:8090",
        value_name = "ADDRESS"
    )]
    pub(crate) api_listen: SocketAddr,
    /// Address of the gRPC API.
    #[arg(
        long,
        env = "SERIN_GRPC_LISTEN",
        default_value = "127.0.0.1:8091",
        value_name = "ADDRESS"
    )]
    pub(crate) grpc_listen: SocketAddr,
    /// The candidate begins to fail at its first step, and is taken back.
    #[arg(long = "break", env = "SERIN_BREAK", value_parser = FalseyValueParser::new())]
    pub(crate) breaks: bool,
}

#[derive(Debug, Flags)]
pub(crate) struct Completion {
    /// Which shell.
    pub(crate) shell: Shell,
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[cfg(test)]
mod tests;
