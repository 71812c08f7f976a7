//! Digests of secrets: made, compared, and cut short where people read them.
//!
//! The control plane never keeps a secret, only its SHA-256. A digest is no credential, but who
//! reads documents and records needs no more of it than to tell two apart.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde_json::Value as Json;
use subtle::ConstantTimeEq as _;

/// Hex digits of a digest that readers are shown.
const SHOWN_DIGITS: usize = 8;
/// The field that holds a digest, in keys and in tokens.
const FIELD: &str = "sha256";

/// SHA-256 of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; SHA256_OUTPUT_LEN]);

/// A text that is no SHA-256 in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 64 hex digits; the SHA-256 of the whole secret is meant")]
pub struct BadDigest;

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut own = [0; SHA256_OUTPUT_LEN];
        own.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(own)
    }

    /// Compares without telling by its time how much is alike.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(hex: &str) -> Result<Self, BadDigest> {
        let mut own = [0; SHA256_OUTPUT_LEN];
        // `from_str_radix` would take a sign.
        if hex.len() != 2 * own.len() || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BadDigest);
        }
        for (byte, pair) in own.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadDigest)?;
        }
        Ok(Self(own))
    }
}

/// 64 hex digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As people are shown it.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", shown(&self.to_string()))
    }
}

/// The document or record with every digest in it cut to [`SHOWN_DIGITS`].
pub(crate) fn cut_digests(mut json: Json) -> Json {
    cut(&mut json);
    json
}

fn cut(json: &mut Json) {
    match json {
        Json::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Json::String(text) if name == FIELD => *text = shown(text).to_owned(),
            _ => cut(value),
        }),
        Json::Array(items) => items.iter_mut().for_each(cut),
        _ => {}
    }
}

fn shown(digest: &str) -> &str {
    digest.get(..SHOWN_DIGITS).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_reads_back_and_nothing_else_is_one() {
        let digest = Digest::of(b"secret");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
        let sign = format!("+{}", "0".repeat(63));
        let long = "0".repeat(65);
        for bad in [
            "",
            "9f86d081",
            sign.as_str(),
            long.as_str(),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<Digest>(), Err(BadDigest), "{bad:?}");
        }
    }

    #[test]
    fn readers_see_eight_digits_of_a_digest_and_the_rest_whole() {
        let digest = Digest::of(b"secret").to_string();
        let short = &digest[..8];
        let key = json!({"name": "web", "secrets": [{"sha256": digest}, {"sha256": "9f86"}]});
        let cut = json!({"name": "web", "secrets": [{"sha256": short}, {"sha256": "9f86"}]});
        assert_eq!(cut_digests(key), cut);
        assert_eq!(format!("{:?}", Digest::of(b"secret")), format!("{short}…"));
    }
}
