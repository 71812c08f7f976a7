//! Where log lines go: stderr, as JSON for programs or text for people.

use std::io::{IsTerminal as _, Stderr, stderr};

use serin_proto::v1;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::args::{LogFormat, LogLevel, ServerFlags};

/// Starts logging as flags and the `server:` block say. Called once, first of all.
pub(crate) fn start(server: &v1::Server, flags: &ServerFlags) {
    let written = server.logging.clone().unwrap_or_default();
    let text = flags
        .log_format
        .map_or(written.format == "text", |f| f == LogFormat::Text);
    let level = flags
        .log_level
        .map_or_else(|| level_of(&written.level), level);
    let lines = lines();
    if text {
        begin(lines, level);
    } else {
        begin(lines.json().flatten_event(true), level);
    }
}

/// Warnings and errors for people, for commands that print what happens themselves.
pub(crate) fn quiet() {
    begin(lines(), LevelFilter::WARN);
}

/// A reader of stderr that has gone away ends no server: what cannot be written is dropped.
fn lines<S>() -> fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, fn() -> Stderr> {
    let lines = fmt::layer()
        .with_writer(stderr as fn() -> Stderr)
        .with_target(false)
        .log_internal_errors(false);
    // Colours are for a terminal, and there only where NO_COLOR does not say otherwise.
    if stderr().is_terminal() {
        lines
    } else {
        lines.with_ansi(false)
    }
}

/// actix calls each answer that we break off an error of the server's; it is the provider's, and
/// stands in the access log.
fn begin(lines: impl Layer<Registry> + Send + Sync, level: LevelFilter) {
    let shown = Targets::new()
        .with_default(level)
        .with_target("actix_http", LevelFilter::OFF)
        .with_target("actix_server", level.min(LevelFilter::WARN));
    tracing_subscriber::registry()
        .with(lines.with_filter(shown))
        .init();
}

fn level(word: LogLevel) -> LevelFilter {
    match word {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn level_of(word: &str) -> LevelFilter {
    match word {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    }
}
