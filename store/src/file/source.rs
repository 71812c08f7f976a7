//! The thread that looks at a file and tells its follower what it found.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use serin_proto::{address::Networks, unit::Revision, v1};

use super::{Unusable, Version, listing, read};
use crate::{
    Listing,
    follower::Follower,
    watch::{self, Event, Feed, Reason},
};

/// Time between two looks at the path. Half of the 100 ms that each version is promised.
pub const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Looks between two `Progress` events: about one a second.
const LOOKS_PER_PROGRESS: u32 = 25;

/// Asks the source to read its file again though it looks unchanged. Dropping the last one ends
/// the source.
#[derive(Clone, Debug)]
pub struct Nudge {
    asks: mpsc::Sender<()>,
}

impl Nudge {
    /// Returns at once; the reading happens on the source's own thread.
    pub fn reread(&self) {
        // A source that has ended has nobody left to read for.
        let _ = self.asks.send(());
    }
}

/// Follows `path` from a version of it that has been read already.
///
/// # Errors
/// When no thread can be started.
pub fn follow(
    path: PathBuf,
    first: &Version,
    networks: Option<Networks>,
) -> std::io::Result<(Follower, Nudge)> {
    let (feed, watch) = watch::channel();
    let (asks, asked) = mpsc::channel();
    let listing = listing(&first.file, Revision(1), None);
    let server = first.file.server.clone();
    // Nothing seen yet: the first look reads again, so a change since `first` is not missed.
    let source = Source {
        path,
        networks,
        feed,
        seen: None,
        listing,
        server,
        valid: true,
    };
    thread::Builder::new()
        .name("serin-file".to_owned())
        .spawn(move || source.run(&asked))?;
    Ok((Follower::of_stream(watch), Nudge { asks }))
}

/// What a look can tell without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    modified: Option<SystemTime>,
    inode: u64,
    size: u64,
}

struct Source {
    path: PathBuf,
    networks: Option<Networks>,
    feed: Feed,
    /// What the last look found, a path without a file included; `None` before the first look.
    seen: Option<Option<Look>>,
    listing: Listing,
    /// The settings this process started with.
    server: Option<v1::Server>,
    /// Whether the last version read was valid: only then a look is progress.
    valid: bool,
}

impl Source {
    fn run(mut self, asked: &mpsc::Receiver<()>) {
        if !self.feed.send_blocking(Event::Reset(self.listing.clone())) {
            return;
        }
        let mut looks = 0;
        loop {
            let forced = match asked.recv_timeout(LOOK_EVERY) {
                Ok(()) => true,
                Err(mpsc::RecvTimeoutError::Timeout) => false,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            looks += 1;
            let told = match self.look(forced) {
                Some(event) => self.feed.send_blocking(event),
                None if self.valid && looks % LOOKS_PER_PROGRESS == 0 => self
                    .feed
                    .send_blocking(Event::Progress(self.listing.revision)),
                None => true,
            };
            if !told {
                return;
            }
        }
    }

    fn look(&mut self, forced: bool) -> Option<Event> {
        let look = look_at(&self.path);
        if self.seen == Some(look) && !forced {
            return None;
        }
        self.seen = Some(look);
        match read(&self.path, self.networks.as_ref()) {
            Ok(version) => {
                self.valid = true;
                self.accept(&version)
            }
            Err(Unusable::Faulty(faults)) => {
                self.valid = false;
                Some(Event::Refused(faults))
            }
            Err(gone @ Unusable::Unreadable { .. }) => {
                let is_news = self.valid || forced;
                self.valid = false;
                if look.is_some() {
                    // It is there and could not be read: it may be readable without changing again.
                    self.seen = None;
                }
                if !is_news {
                    return None;
                }
                Some(Event::Down(Reason::Io, gone.to_string()))
            }
        }
    }

    /// A version that says what the last one said is no news.
    fn accept(&mut self, version: &Version) -> Option<Event> {
        let revision = Revision(self.listing.revision.0 + 1);
        let next = listing(&version.file, revision, Some(&self.listing));
        if version.file.server != self.server {
            tracing::warn!(path = %self.path.display(), "server settings changed: restart to use them");
        }
        if next.entries == self.listing.entries {
            return Some(Event::Progress(self.listing.revision));
        }
        for warning in &version.warnings {
            tracing::warn!(%warning, "document accepted with a warning");
        }
        self.listing = next;
        Some(Event::Reset(self.listing.clone()))
    }
}

/// What is at the path now; `None`: nothing that can be read.
pub fn look_at(path: &Path) -> Option<Look> {
    let meta = fs::metadata(path).ok()?;
    Some(Look {
        modified: meta.modified().ok(),
        inode: meta.ino(),
        size: meta.len(),
    })
}
