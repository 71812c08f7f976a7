//! Who holds this secret?
//!
//! The whole secret is hashed, its SHA-256 found in a map, then compared again in constant time.
//! Nobody can choose a digest, so the map leaks nothing; one hash costs less than a cache.
//!
//! Always: unknown, expired and disabled keys take the same way and get the same words. The
//! keyring holds digests only, never a secret.
//! Not here: fetching the header; what a caller may spend.

use std::collections::HashMap;
use std::sync::Arc;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serin_proto::v1;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: usize = 256;

type Digest = [u8; SHA256_OUTPUT_LEN];

/// Every live secret of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    entries: HashMap<Digest, Entry>,
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    /// Unix time in milliseconds; `None`: never.
    expires_at_ms: Option<u64>,
    is_disabled: bool,
    caller: Arc<Caller>,
}

/// Who is calling, and which routes it may use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The key's name.
    pub name: Arc<str>,
    routes: Routes,
}

#[derive(Debug, PartialEq, Eq)]
enum Routes {
    All,
    /// Sorted.
    Named(Box<[Box<str>]>),
}

/// Why a request has no caller. The operator may know which; the caller is never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("there is no authorization header")]
    Missing,
    #[error("the authorization header is no bearer token of 1 to 256 visible ASCII bytes")]
    Malformed,
    #[error("no key has this secret")]
    Unknown,
    #[error("the secret has expired")]
    Expired,
    #[error("the key is disabled")]
    Disabled,
}

impl Denied {
    /// One message for all: it must not tell a guesser how close the guess was.
    pub(crate) fn public_message(self) -> &'static str {
        "Incorrect API key provided."
    }
}

impl Caller {
    /// Whether it may use this route, named as in the documents (not by an alias).
    pub(crate) fn may_use(&self, route: &str) -> bool {
        match &self.routes {
            Routes::All => true,
            Routes::Named(names) => names.binary_search_by(|name| (**name).cmp(route)).is_ok(),
        }
    }
}

impl Keyring {
    /// Compiles valid key documents, whose secrets are SHA-256 in hex. A secret that is not is
    /// left out, and one whose expiry cannot be read has expired: what is unclear admits nobody.
    pub(crate) fn build<'a>(keys: impl Iterator<Item = &'a v1::Key>) -> Self {
        let mut entries = HashMap::new();
        for key in keys {
            let caller = Arc::new(caller(key));
            for secret in &key.secrets {
                let Some(digest) = parse_digest(&secret.sha256) else {
                    continue;
                };
                let entry = Entry {
                    digest,
                    expires_at_ms: parse_expiry(&secret.expires_at),
                    is_disabled: key.disabled,
                    caller: caller.clone(),
                };
                entries.insert(digest, entry);
            }
        }
        Self { entries }
    }

    /// Finds the caller by the value of the `Authorization` header.
    pub(crate) fn find(
        &self,
        authorization: Option<&[u8]>,
        now_unix_ms: u64,
    ) -> Result<Arc<Caller>, Denied> {
        let secret = bearer(authorization.ok_or(Denied::Missing)?).ok_or(Denied::Malformed)?;
        let hashed = digest(&SHA256, secret);
        let hashed = Digest::try_from(hashed.as_ref()).map_err(|_| Denied::Unknown)?;
        let entry = self.entries.get(&hashed).ok_or(Denied::Unknown)?;
        if !bool::from(entry.digest.ct_eq(&hashed)) {
            return Err(Denied::Unknown);
        }
        if entry.expires_at_ms.is_some_and(|at| at <= now_unix_ms) {
            return Err(Denied::Expired);
        }
        if entry.is_disabled {
            return Err(Denied::Disabled);
        }
        Ok(entry.caller.clone())
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

fn caller(key: &v1::Key) -> Caller {
    let routes = if key.routes.iter().any(|route| route == "*") {
        Routes::All
    } else {
        let mut names: Vec<Box<str>> = key.routes.iter().map(|name| name.as_str().into()).collect();
        names.sort_unstable();
        Routes::Named(names.into())
    };
    Caller {
        name: key.name.as_str().into(),
        routes,
    }
}

fn parse_digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` would take a sign.
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

/// Milliseconds of Unix time; `None` if nothing is written.
fn parse_expiry(written: &str) -> Option<u64> {
    if written.is_empty() {
        return None;
    }
    let at = OffsetDateTime::parse(written, &Rfc3339).ok();
    let ms = at.and_then(|at| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
    Some(ms.unwrap_or(0))
}

#[cfg(test)]
mod tests;
