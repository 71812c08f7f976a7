//! A YAML file as a read-only source of documents.
//!
//! A file is taken or refused whole: a version with any fault changes nothing, and every fault is
//! told with file, line and column. The path is looked at every 40 ms (modification time, inode and
//! size, so a rename or a symlink swap is seen) and whenever somebody asks ([`Nudge`], for SIGHUP).
//!
//! Secrets named by `env` or `file` in keys are hashed here, as they are read: only digests leave
//! this file. Credentials of providers stay references; the router reads them itself.

mod source;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serin_proto::{
    Fault,
    address::Networks,
    key::{DocumentKey, Kind},
    unit::Revision,
    v1,
    validate::Context,
    yaml,
};
use time::OffsetDateTime;

pub use source::{LOOK_EVERY, Look, Nudge, follow, look_at};

use crate::{Entry, Key, Listing, StoreIdentity};

/// One version of a file: read, checked, its secrets hashed.
#[derive(Clone, Debug)]
pub struct Version {
    pub file: v1::File,
    pub warnings: Vec<Fault>,
}

/// Why a file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}", lines(.0))]
    Faulty(Vec<Fault>),
}

/// Reads and checks a file. `networks`: the ranges that a provider may be in, where the settings that
/// say so are not in this very file.
///
/// # Errors
/// [`Unusable::Unreadable`] when there is no such file or it cannot be read as text;
/// [`Unusable::Faulty`] with every fault there is.
pub fn read(path: &Path, networks: Option<&Networks>) -> Result<Version, Unusable> {
    let text = fs::read_to_string(path).map_err(|source| Unusable::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    read_text(&path.display().to_string(), &text, networks)
}

/// The same for text that is already at hand; `name` stands before each fault's line.
///
/// # Errors
/// [`Unusable::Faulty`] with every fault there is.
pub fn read_text(name: &str, text: &str, networks: Option<&Networks>) -> Result<Version, Unusable> {
    hashed(text, yaml::read_in(name, text, &context(networks)), name)
}

/// As [`read_text`], for a file that is applied to a store: what it names and does not hold may be
/// there.
///
/// # Errors
/// [`Unusable::Faulty`] with every fault there is.
pub fn read_part(name: &str, text: &str, networks: Option<&Networks>) -> Result<Version, Unusable> {
    hashed(text, yaml::read_part(name, text, &context(networks)), name)
}

fn context(networks: Option<&Networks>) -> Context {
    Context {
        networks: networks.cloned(),
        now: Some(now()),
    }
}

fn hashed(
    text: &str,
    read: Result<yaml::Read, Vec<Fault>>,
    name: &str,
) -> Result<Version, Unusable> {
    let read = read.map_err(Unusable::Faulty)?;
    let mut version = Version {
        file: read.file,
        warnings: read.warnings,
    };
    let mut faults = hash_secrets(name, &mut version.file.keys);
    if faults.is_empty() {
        return Ok(version);
    }
    let places = yaml::Places::of(text);
    for fault in &mut faults {
        let place = places.as_ref().map(|places| places.find(&fault.pointer));
        (fault.line, fault.column) = place.unzip();
    }
    Err(Unusable::Faulty(faults))
}

/// The documents of a version as a listing. A document that is the same as in `previous` keeps its
/// revision, so that followers can tell what changed.
pub fn listing(file: &v1::File, revision: Revision, previous: Option<&Listing>) -> Listing {
    let before: BTreeMap<&Key, &Entry> = previous
        .iter()
        .flat_map(|l| &l.entries)
        .map(|e| (&e.key, e))
        .collect();
    let entry = |kind, name: &str, value: Vec<u8>| {
        let key = Key::from(&DocumentKey {
            kind,
            name: name.to_owned(),
        });
        match before.get(&key) {
            Some(old) if old.value == value => (*old).clone(),
            old => Entry {
                key,
                value: value.into(),
                create_revision: old.map_or(revision, |old| old.create_revision),
                mod_revision: revision,
                version: old.map_or(1, |old| old.version + 1),
            },
        }
    };
    let mut entries = Vec::new();
    entries.extend(
        file.providers
            .iter()
            .map(|d| entry(Kind::Provider, &d.name, json(d))),
    );
    entries.extend(
        file.tiers
            .iter()
            .map(|d| entry(Kind::Tier, &d.name, json(d))),
    );
    entries.extend(file.keys.iter().map(|d| entry(Kind::Key, &d.name, json(d))));
    entries.extend(
        file.routes
            .iter()
            .map(|d| entry(Kind::Route, &d.name, json(d))),
    );
    Listing {
        entries,
        revision,
        identity: StoreIdentity("file".to_owned()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a secret has expired depends on the day"
)]
fn now() -> OffsetDateTime {
    OffsetDateTime::from(SystemTime::now())
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("a validated document has no value that JSON lacks")
}

/// Puts the digest in the place of each secret that is named by `env` or `file`.
fn hash_secrets(name: &str, keys: &mut [v1::Key]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (k, key) in keys.iter_mut().enumerate() {
        for (s, secret) in key.secrets.iter_mut().enumerate() {
            if !secret.sha256.is_empty() {
                continue;
            }
            match digest_of(&secret.env, &secret.file) {
                Ok(sha256) => {
                    secret.sha256 = sha256;
                    secret.env.clear();
                    secret.file.clear();
                }
                Err(why) => faults.push(Fault {
                    file: Some(name.to_owned()),
                    line: None,
                    column: None,
                    pointer: format!("/keys/{k}/secrets/{s}"),
                    code: "secret_unreadable",
                    message: format!("key {}: {why}", key.name),
                }),
            }
        }
    }
    faults
}

/// SHA-256, in hex, of the secret that a variable or, if `env` is empty, a file holds.
///
/// # Errors
/// Why there is none, for people.
pub fn digest_of(env: &str, file: &str) -> Result<String, String> {
    let value = secret_value(env, file)?;
    Ok(hex(digest(&SHA256, value.as_bytes()).as_ref()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file may name a variable that holds a key's secret"
)]
fn secret_value(env: &str, file: &str) -> Result<String, String> {
    let value = if env.is_empty() {
        fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?
    } else {
        std::env::var(env).map_err(|_| format!("environment variable {env} is not set"))?
    };
    let value = value.trim().to_owned();
    if value.is_empty() {
        Err("the secret is empty".to_owned())
    } else {
        Ok(value)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn lines(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(Fault::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
