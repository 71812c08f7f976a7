//! The file of `serin up` as it is seen: looked at every 40 ms, and at once when somebody asks.
//!
//! A thread of its own reads and checks; what can be used is handed on as a [`Bundle`], and what
//! cannot be is told where it stands. Nothing is decided here about what the store holds.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc as asks,
    thread,
};

use serin_proto::{address::Networks, v1};
use serin_store::file::{self, LOOK_EVERY, Look, Unusable, look_at};
use tokio::sync::mpsc;

use crate::{bundle::Bundle, exit::Failed};

/// The version that a process starts with.
pub(super) struct First {
    pub(super) server: Option<v1::Server>,
    pub(super) file: v1::File,
    pub(super) bundle: Bundle,
}

/// Asks for another look though nothing seems to have changed. Dropping it ends the looking.
#[derive(Clone, Debug)]
pub(super) struct Nudge(asks::Sender<()>);

impl Nudge {
    pub(super) fn reread(&self) {
        // Who has ended has nobody left to read for.
        let _ = self.0.send(());
    }
}

/// Who looks, and what was seen last.
pub(super) struct Sight {
    path: PathBuf,
    networks: Networks,
    server: v1::Server,
    /// `None` before the first look: a change since the start is not missed.
    seen: Option<Option<Look>>,
}

impl Sight {
    /// Reads the file for the first time, by the private ranges that its own settings allow.
    ///
    /// # Errors
    /// Every fault there is.
    pub(super) fn first(path: &Path) -> Result<First, Failed> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Failed::because(format!("cannot read {name}: {error}")))?;
        let version = file::read_part(&name, &text, None).map_err(failed)?;
        let server = version.file.server.clone();
        let networks = crate::settings::networks(&server.clone().unwrap_or_default())?;
        let bundle = Bundle::of_text(&name, text, &networks).map_err(failed)?;
        Ok(First {
            server,
            file: version.file,
            bundle,
        })
    }

    /// `networks` and `server`: what the process started with.
    pub(super) fn new(path: PathBuf, networks: Networks, server: v1::Server) -> Self {
        Self {
            path,
            networks,
            server,
            seen: None,
        }
    }

    /// Looks from now on. Each version that is seen is sent; a faulty one as what is wrong with it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn follow(
        mut self,
    ) -> io::Result<(mpsc::Receiver<Result<Bundle, Unusable>>, Nudge)> {
        let (versions, receiver) = mpsc::channel(1);
        let (asks, asked) = asks::channel();
        let look = move || {
            loop {
                let forced = match asked.recv_timeout(LOOK_EVERY) {
                    Ok(()) => true,
                    Err(asks::RecvTimeoutError::Timeout) => false,
                    Err(asks::RecvTimeoutError::Disconnected) => return,
                };
                if let Some(version) = self.look(forced)
                    && versions.blocking_send(version).is_err()
                {
                    return;
                }
            }
        };
        thread::Builder::new()
            .name("serin-file".to_owned())
            .spawn(look)?;
        Ok((receiver, Nudge(asks)))
    }

    fn look(&mut self, forced: bool) -> Option<Result<Bundle, Unusable>> {
        let look = look_at(&self.path);
        if self.seen == Some(look) && !forced {
            return None;
        }
        self.seen = Some(look);
        let name = self.path.display().to_string();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(source) => {
                let path = self.path.clone();
                return Some(Err(Unusable::Unreadable { path, source }));
            }
        };
        self.warn_of_settings(&name, &text);
        Some(Bundle::of_text(&name, text, &self.networks))
    }

    fn warn_of_settings(&self, name: &str, text: &str) {
        let server = match file::read_part(name, text, Some(&self.networks)) {
            Ok(version) => version.file.server.unwrap_or_default(),
            // Told as a fault of the file.
            Err(Unusable::Faulty(_) | Unusable::Unreadable { .. }) => return,
        };
        if server != self.server {
            tracing::warn!(path = name, "server settings changed: restart to use them");
        }
    }
}

fn failed(unusable: Unusable) -> Failed {
    Failed::because(unusable.to_string())
}
