//! The bytes of a snapshot file.

use std::{io, str};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serin_proto::unit::Revision;
use ulid::Ulid;

use super::{Saved, SavedDocument};

const MAGIC: &str = "serin-snapshot";
const VERSION: &str = "1";
/// Longest first line, in bytes: the words, a length and a digest.
const HEAD_BYTES_MAX: usize = 128;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damaged {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is too large")]
    TooLarge,
    #[error("does not begin as a snapshot file does")]
    NoHead,
    #[error("is of version {0:?}, not {VERSION}")]
    OtherVersion(String),
    #[error("holds {found} bytes and says {told}")]
    OtherLength { told: u64, found: u64 },
    #[error("does not match its checksum")]
    OtherChecksum,
    #[error("holds what cannot be understood: {0}")]
    NoSense(#[from] serde_json::Error),
}

impl Damaged {
    /// Nobody will ever read it: not a file that may be read with other rights, or by the version of
    /// Serin that wrote it.
    pub(super) fn is_for_good(&self) -> bool {
        !matches!(
            self,
            Self::Unreadable(_) | Self::OtherVersion(_) | Self::TooLarge
        )
    }
}

pub(super) fn encode(saved: &Saved) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(&Body::of(saved))?;
    let head = format!("{MAGIC} {VERSION} {} {}\n", body.len(), checksum(&body));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Saved, Damaged> {
    let within = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let end = within.iter().position(|byte| *byte == b'\n');
    let head = end.and_then(|end| str::from_utf8(&bytes[..end]).ok());
    let head = head.ok_or(Damaged::NoHead)?;
    let words: Vec<&str> = head.split(' ').collect();
    let [MAGIC, version, rest @ ..] = words.as_slice() else {
        return Err(Damaged::NoHead);
    };
    if *version != VERSION {
        return Err(Damaged::OtherVersion((*version).to_owned()));
    }
    let [length, sum] = rest else {
        return Err(Damaged::NoHead);
    };
    let told: u64 = length.parse().map_err(|_| Damaged::NoHead)?;
    let body = &bytes[head.len() + 1..];
    let found = body.len() as u64;
    if told != found {
        return Err(Damaged::OtherLength { told, found });
    }
    if *sum != checksum(body) {
        return Err(Damaged::OtherChecksum);
    }
    let body: Body = serde_json::from_slice(body)?;
    Ok(body.into())
}

fn checksum(body: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = digest(&SHA256, body);
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    identity: String,
    revision: u64,
    adopted: Option<String>,
    /// Milliseconds since 1970, as `saved_at` is.
    last_contact: u64,
    saved_at: u64,
    documents: Vec<Stored>,
    last_good: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    key: String,
    value: Value,
    create_revision: u64,
    mod_revision: u64,
}

/// Byte by byte what is stored. Others write to a store too: it need not be text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { bytes: Vec<u8> },
}

impl Body {
    fn of(saved: &Saved) -> Self {
        Self {
            identity: saved.identity.clone(),
            revision: saved.revision.0,
            adopted: saved.adopted.map(|ulid| ulid.to_string()),
            last_contact: saved.last_contact_unix_ms,
            saved_at: saved.saved_unix_ms,
            documents: saved.documents.iter().map(Stored::of).collect(),
            last_good: saved.last_good.iter().map(Stored::of).collect(),
        }
    }
}

impl Stored {
    fn of(saved: &SavedDocument) -> Self {
        Self {
            key: saved.key.clone(),
            value: match str::from_utf8(&saved.value) {
                Ok(text) => Value::Text(text.to_owned()),
                Err(_) => Value::Bytes {
                    bytes: saved.value.clone(),
                },
            },
            create_revision: saved.create_revision.0,
            mod_revision: saved.mod_revision.0,
        }
    }
}

impl From<Body> for Saved {
    fn from(body: Body) -> Self {
        let documents = |stored: Vec<Stored>| stored.into_iter().map(SavedDocument::from).collect();
        Self {
            identity: body.identity,
            revision: Revision(body.revision),
            adopted: body.adopted.and_then(|text| Ulid::from_string(&text).ok()),
            last_contact_unix_ms: body.last_contact,
            saved_unix_ms: body.saved_at,
            documents: documents(body.documents),
            last_good: documents(body.last_good),
        }
    }
}

impl From<Stored> for SavedDocument {
    fn from(stored: Stored) -> Self {
        Self {
            key: stored.key,
            value: match stored.value {
                Value::Text(text) => text.into_bytes(),
                Value::Bytes { bytes } => bytes,
            },
            create_revision: Revision(stored.create_revision),
            mod_revision: Revision(stored.mod_revision),
        }
    }
}
