//! Places where a test kills the process: before and after each transaction of a rollout and each
//! change that somebody asks for, and wherever else a crash must change nothing.
//!
//! The controller's own are called by their transition (`t7.after`; `tick`, `checkpoint`), those of
//! people by the word of their audit record (`traffic.before`, `skip-step.after`).
//!
//! Without the feature `failpoints` there is nothing here, and nothing is read. With it the process
//! ends by SIGKILL, so no destructor, no flush and no revoked lease makes the crash kinder than a
//! real one, when it comes to the place that `SERIN_FAILPOINT` names (`t7.after`). Another signal
//! (`SERIN_FAILPOINT_SIGNAL=STOP`) is sent once; after that it goes on.

/// The process has come to the place `point` of `part`: `("t7", "before")`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reach(_part: &str, _point: &str) {}

/// The process has come to the place `point` of `part`: `("t7", "before")`.
#[cfg(feature = "failpoints")]
#[expect(
    clippy::disallowed_methods,
    reason = "a test names the place by the environment; no release has this code"
)]
pub(crate) fn reach(part: &str, point: &str) {
    use std::{
        process::{Command, abort, id},
        sync::atomic::{AtomicBool, Ordering},
    };

    const NAME: &str = "SERIN_FAILPOINT";
    const SIGNAL: &str = "SERIN_FAILPOINT_SIGNAL";
    static REACHED: AtomicBool = AtomicBool::new(false);
    let wanted = std::env::var(NAME).unwrap_or_default();
    if wanted != format!("{part}.{point}") || REACHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let signal = std::env::var(SIGNAL).unwrap_or_else(|_| "KILL".to_owned());
    tracing::warn!(part, point, signal, "a failpoint was reached");
    // It comes while the command is waited for.
    let _ = Command::new("kill")
        .args([&format!("-{signal}"), &id().to_string()])
        .status();
    if signal == "KILL" {
        abort();
    }
}
