//! How a command ends: an exit code, and for people one clear message on stderr.
//!
//! 0 ok · 1 error · 2 usage (clap ends the process itself) · 3 conflict · 4 not found
//! 5 rollout failed · 6 timed out · 141 nobody reads any more what would have gone on

use std::process::ExitCode;

use crate::output;

/// Why a command did not succeed. Each message says what is wrong and the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("{0}")]
    Error(String),
    /// Everything that is to be said has been said on stdout.
    #[error("")]
    Said,
    /// What was written down can be read and cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// Somebody else was faster, or the present state forbids it.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotFound(String),
    /// A rollout that was waited for has ended without a promotion.
    #[error("{0}")]
    Rollout(String),
    #[error("{0}")]
    TimedOut(String),
    /// Nobody reads what would have gone on: as the shell tells a death by SIGPIPE.
    #[error("")]
    Unread,
}

impl From<serin_router::Taken> for Failed {
    fn from(taken: serin_router::Taken) -> Self {
        Self::because(taken.to_string())
    }
}

impl From<serin_control_plane::Taken> for Failed {
    fn from(taken: serin_control_plane::Taken) -> Self {
        Self::because(taken.to_string())
    }
}

impl Failed {
    pub(crate) fn because(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }

    fn number(&self) -> u8 {
        match self {
            Self::Error(_) | Self::Said => 1,
            Self::Usage(_) => 2,
            Self::Conflict(_) => 3,
            Self::NotFound(_) => 4,
            Self::Rollout(_) => 5,
            Self::TimedOut(_) => 6,
            Self::Unread => 141,
        }
    }
}

/// Says what is to be said, and gives the number.
pub(crate) fn code(done: Result<(), Failed>) -> ExitCode {
    let Err(failed) = done else {
        return ExitCode::SUCCESS;
    };
    let message = failed.to_string();
    if !message.is_empty() {
        output::note(format_args!("serin: {message}"));
    }
    ExitCode::from(failed.number())
}
