//! Where log lines go: stderr, as JSON for programs or text for people.

use serin_proto::v1;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{LogFormat, LogLevel, ServerFlags};

/// Starts logging as flags and the `server:` block say. Called once, first of all.
pub(crate) fn start(server: &v1::Server, flags: &ServerFlags) {
    let written = server.logging.clone().unwrap_or_default();
    let text = flags.log_format.map_or(written.format == "text", |f| f == LogFormat::Text);
    let level = flags.log_level.map_or_else(|| level_of(&written.level), level);
    let subscriber =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    if text {
        subscriber.with_target(false).init();
    } else {
        subscriber.json().flatten_event(true).with_target(false).init();
    }
}

/// Warnings and errors for people, for commands that print what happens themselves.
pub(crate) fn quiet() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::WARN)
        .with_target(false)
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
    word.parse().unwrap_or(LevelFilter::INFO)
}
