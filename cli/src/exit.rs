//! How a command ends: an exit code, and for people one clear message on stderr.

use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The message says what is wrong and the way out.
    #[error("{0}")]
    Error(String),
    /// Everything that is to be said has been said on stdout.
    #[error("")]
    Said,
}

impl Failed {
    pub(crate) fn because(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }
}

/// 0 ok · 1 error. (Usage errors are 2: clap ends the process itself.)
pub(crate) fn code(done: Result<(), Failed>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Said) => ExitCode::FAILURE,
        Err(Failed::Error(message)) => {
            eprintln!("serin: {message}");
            ExitCode::FAILURE
        }
    }
}
