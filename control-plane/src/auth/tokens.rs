//! Which tokens hold now: those of the settings, and those of the store as they change.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use serin_proto::{key::StoreKey, token::Token, unit::Revision};
use serin_store::{
    Entry, Key, Scope,
    watch::{Change, Event},
};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{Actor, Denied, Role, Via, attempts::Attempts};
use crate::{clock, plane::Plane, secret::Digest, settings::SettingsToken};

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 256;
/// Longest wait for a token just written to hold here.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// Everybody who may come in.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: Vec<(String, Pass)>,
    stored: RwLock<Stored>,
    attempts: Mutex<Attempts>,
    /// How far the tokens of the store were heard of; `None`: not at all.
    heard: watch::Sender<Option<Revision>>,
    ask: Notify,
}

/// A token that admits.
#[derive(Debug)]
struct Pass {
    role: Role,
    sha256: Digest,
    /// `None`: never.
    expires_at: Option<OffsetDateTime>,
}

#[derive(Debug, Default)]
struct Stored {
    by_name: BTreeMap<String, Pass>,
    by_digest: HashMap<Digest, Vec<String>>,
}

/// Follows the tokens of the store until the plane is stopped.
pub(crate) async fn follow(plane: Arc<Plane>) {
    let mut watch = plane.store.watch(Scope::Tokens, None);
    let stopped = plane.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = plane.tokens.ask.notified() => watch.ask_progress(),
            event = watch.next() => match event {
                Some(event) => plane.tokens.take(event),
                None => {
                    tracing::error!("the stream of tokens has ended");
                    return;
                }
            },
        }
    }
}

impl Tokens {
    /// Those of the settings alone until [`follow`] was told of others.
    pub(crate) fn new(settings: &[SettingsToken]) -> Self {
        let of_settings = |token: &SettingsToken| {
            let pass = Pass {
                role: token.role,
                sha256: token.sha256,
                expires_at: None,
            };
            (token.name.clone(), pass)
        };
        Self {
            settings: settings.iter().map(of_settings).collect(),
            stored: RwLock::default(),
            attempts: Mutex::default(),
            heard: watch::Sender::default(),
            ask: Notify::new(),
        }
    }

    /// Whether the settings have a token of that name.
    pub(crate) fn in_settings(&self, name: &str) -> bool {
        self.settings.iter().any(|(known, _)| known == name)
    }

    /// Who it is, by the value of the `Authorization` header. `peer` is whose failures are counted:
    /// a wrong token is a try, and from an address out of tries it is [`Denied::TooMany`]. A right
    /// one always works, or whoever shares an address could lock others out.
    ///
    /// # Errors
    /// Nobody, for one of the reasons there are.
    pub(crate) fn identify(
        &self,
        authorization: Option<&[u8]>,
        peer: IpAddr,
        via: Via,
    ) -> Result<Actor, Denied> {
        self.known(authorization, via)
            .map_err(|denied| match denied {
                Denied::Malformed | Denied::Unknown => self.tried(peer, denied),
                _ => denied,
            })
    }

    /// The same, and no try: for who was identified before and may be known no more.
    ///
    /// # Errors
    /// Nobody any more, for one of the reasons there are but [`Denied::TooMany`].
    pub(crate) fn known(&self, authorization: Option<&[u8]>, via: Via) -> Result<Actor, Denied> {
        let secret = bearer(authorization.ok_or(Denied::Missing)?).ok_or(Denied::Malformed)?;
        let found = self.find(&Digest::of(secret), clock::wall());
        // Not heard yet, so not known to be wrong.
        if found.is_err() && !self.are_ready() {
            return Err(Denied::NotYet);
        }
        let (name, role) = found?;
        Ok(Actor { name, role, via })
    }

    /// Whether the tokens of the store were seen once.
    pub(crate) fn are_ready(&self) -> bool {
        self.heard.borrow().is_some()
    }

    /// Waits until they were.
    pub(crate) async fn ready(&self) {
        let mut heard = self.heard.subscribe();
        // An error would say that the sender is gone: it is in `self`.
        let _ = heard.wait_for(Option::is_some).await;
    }

    /// Waits until what was committed at that revision holds here, or a while.
    pub(crate) async fn caught_up(&self, revision: Revision) {
        let mut heard = self.heard.subscribe();
        self.ask.notify_one();
        // Late or not: the token holds soon, and its writer has been answered in time.
        let there = |heard: &Option<Revision>| *heard >= Some(revision);
        let _ = timeout(CATCH_UP_MAX, heard.wait_for(there)).await;
    }

    /// Counts a wrong token, unless its address must wait.
    fn tried(&self, peer: IpAddr, denied: Denied) -> Denied {
        let now = clock::now();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(retry_after) = attempts.wait(peer, now) {
            return Denied::TooMany { retry_after };
        }
        attempts.failed(peer, now);
        denied
    }

    fn find(&self, digest: &Digest, now: OffsetDateTime) -> Result<(String, Role), Denied> {
        let settings = self
            .settings
            .iter()
            .find(|(_, pass)| pass.sha256.is(digest));
        if let Some((name, pass)) = settings {
            return Ok((name.clone(), pass.role));
        }
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner);
        let names = stored.by_digest.get(digest).ok_or(Denied::Unknown)?;
        let passes = names
            .iter()
            .filter_map(|name| stored.by_name.get_key_value(name));
        let mut denied = Denied::Unknown;
        for (name, pass) in passes.filter(|(_, pass)| pass.sha256.is(digest)) {
            if pass.expires_at.is_none_or(|at| at > now) {
                return Ok((name.clone(), pass.role));
            }
            denied = Denied::Expired;
        }
        Err(denied)
    }

    fn take(&self, event: Event) {
        let was_listed = self.are_ready();
        let is_listing = matches!(event, Event::Reset(_));
        let mut stored = self.stored.write().unwrap_or_else(PoisonError::into_inner);
        let revision = match event {
            Event::Reset(listing) => {
                *stored = Stored::default();
                listing.entries.iter().for_each(|entry| stored.put(entry));
                listing.revision
            }
            Event::Changes { batch, revision } => {
                for change in &batch {
                    match change {
                        Change::Put(entry) => stored.put(entry),
                        Change::Delete { key, .. } => stored.remove(key),
                    }
                }
                revision
            }
            Event::Progress(revision) => revision,
            Event::Down(..) | Event::Refused(_) => return,
        };
        drop(stored);
        // News of how far it is says nothing before the first listing.
        if was_listed || is_listing {
            self.heard.send_replace(Some(revision));
        }
    }
}

impl Stored {
    /// What cannot be read admits nobody.
    fn put(&mut self, entry: &Entry) {
        self.remove(&entry.key);
        let Some(name) = name(&entry.key) else {
            return;
        };
        let Some(pass) = pass(&entry.value) else {
            tracing::warn!(
                token = name,
                "a stored token cannot be read: it admits nobody"
            );
            return;
        };
        self.by_digest
            .entry(pass.sha256)
            .or_default()
            .push(name.clone());
        self.by_name.insert(name, pass);
    }

    fn remove(&mut self, key: &Key) {
        let Some(name) = name(key) else { return };
        let Some(pass) = self.by_name.remove(&name) else {
            return;
        };
        if let Some(names) = self.by_digest.get_mut(&pass.sha256) {
            names.retain(|known| *known != name);
            if names.is_empty() {
                self.by_digest.remove(&pass.sha256);
            }
        }
    }
}

fn pass(value: &[u8]) -> Option<Pass> {
    let token = Token::read_tolerant(value).ok()?;
    Some(Pass {
        role: token.role,
        sha256: token.sha256.parse().ok()?,
        expires_at: token.expires_at,
    })
}

fn name(key: &Key) -> Option<String> {
    match key.as_str().parse() {
        Ok(StoreKey::Token(name)) => Some(name),
        _ => None,
    }
}

/// The secret in `Bearer <secret>`, the scheme in any case.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = authorization.split_at_checked(b"bearer".len())?;
    let secret = rest.strip_prefix(b" ")?.trim_ascii();
    let is_well_formed = scheme.eq_ignore_ascii_case(b"bearer")
        && (1..=SECRET_BYTES_MAX).contains(&secret.len())
        && secret.iter().all(u8::is_ascii_graphic);
    is_well_formed.then_some(secret)
}
