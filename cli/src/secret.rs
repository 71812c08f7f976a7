//! Secrets that are made here: shown once, and only their SHA-256 is sent.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::exit::Failed;

/// What the secret of a key begins with.
pub(crate) const KEY_PREFIX: &str = "sk-serin";
/// What the secret of a token begins with.
pub(crate) const TOKEN_PREFIX: &str = "tk-serin";

/// Random bytes of a secret: 43 characters.
const SECRET_BYTES: usize = 32;
/// Random bytes of a word that only must not come twice.
const WORD_BYTES: usize = 16;

/// A secret and what may be told of it.
pub(crate) struct Made {
    pub(crate) secret: String,
    /// In hex.
    pub(crate) sha256: String,
}

/// `<prefix>-<name>-<43 characters>`: 256 random bits behind a prefix that leak scanners find.
pub(crate) fn make(prefix: &str, name: &str) -> Result<Made, Failed> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failed::because("the operating system gave no random bytes"))?;
    let secret = format!("{prefix}-{name}-{}", URL_SAFE_NO_PAD.encode(bytes));
    let sha256 = hex(digest(&SHA256, secret.as_bytes()).as_ref());
    Ok(Made { secret, sha256 })
}

/// A word that nobody has used before.
pub(crate) fn random_word() -> String {
    let mut bytes = [0; WORD_BYTES];
    // Without randomness it is a constant, which the server takes for a repeated request: refused,
    // never done twice.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_random_bits_and_its_own_digest() {
        let made = make("sk-serin", "web").unwrap();
        let tail = made.secret.strip_prefix("sk-serin-web-").unwrap();
        assert_eq!(tail.len(), 43);
        assert_ne!(made.secret, make("sk-serin", "web").unwrap().secret);
        assert_eq!(
            made.sha256,
            hex(digest(&SHA256, made.secret.as_bytes()).as_ref())
        );
        assert_ne!(random_word(), random_word());
    }
}
