//! A provider's secret: from a variable or a file, read again when the file changes.
//!
//! Always: it leaves this file as a finished `authorization` header and is sent to its own
//! provider's authority only; it has no `Debug` and no `Serialize`. A credential that cannot be
//! read shuts its targets, it never stops the router.

use std::{
    fs,
    sync::{Arc, PoisonError, RwLock},
};

use actix_web::http::header::HeaderValue;
use serin_proto::v1;
use zeroize::Zeroizing;

/// A reference and what it last resolved to.
pub(crate) struct Credential {
    reference: v1::Credential,
    header: RwLock<Option<HeaderValue>>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// What to send along.
#[derive(Clone, Debug)]
pub(crate) enum Authorization {
    /// The provider wants none.
    NotNeeded,
    Header(HeaderValue),
    /// There should be one and it cannot be read.
    Missing,
}

impl Credential {
    /// Reads the secret for the first time. Whether that worked is for [`Self::authorization`].
    pub(crate) fn new(reference: v1::Credential) -> Arc<Self> {
        let credential = Self {
            reference,
            header: RwLock::new(None),
        };
        if let Err(why) = credential.read_again() {
            tracing::error!(why, "credential unreadable");
        }
        Arc::new(credential)
    }

    pub(crate) fn reference(&self) -> &v1::Credential {
        &self.reference
    }

    pub(crate) fn authorization(&self) -> Authorization {
        if self.is_empty() {
            return Authorization::NotNeeded;
        }
        let header = self.header.read().unwrap_or_else(PoisonError::into_inner);
        header
            .clone()
            .map_or(Authorization::Missing, Authorization::Header)
    }

    /// Reads the secret again; what was read before stays if this fails.
    ///
    /// # Errors
    /// Why it could not be read, naming the variable or the file.
    pub(crate) fn read_again(&self) -> Result<bool, String> {
        if self.is_empty() {
            return Ok(false);
        }
        let fresh = read(&self.reference)?;
        let mut header = self.header.write().unwrap_or_else(PoisonError::into_inner);
        let changed = header.as_ref() != Some(&fresh);
        *header = Some(fresh);
        Ok(changed)
    }

    fn is_empty(&self) -> bool {
        self.reference.env.is_empty() && self.reference.file.is_empty()
    }
}

/// Whether a credential can be read now; for the refusal at start.
///
/// # Errors
/// Why not, naming the variable or the file.
pub fn check(reference: &v1::Credential) -> Result<(), String> {
    let empty = reference.env.is_empty() && reference.file.is_empty();
    if empty {
        Ok(())
    } else {
        read(reference).map(|_| ())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a document names the variable that holds the secret"
)]
fn read(reference: &v1::Credential) -> Result<HeaderValue, String> {
    let secret = Zeroizing::new(if reference.env.is_empty() {
        fs::read_to_string(&reference.file)
            .map_err(|error| format!("cannot read {}: {error}", reference.file))?
    } else {
        std::env::var(&reference.env)
            .map_err(|_| format!("environment variable {} is not set", reference.env))?
    });
    let place = if reference.env.is_empty() {
        &reference.file
    } else {
        &reference.env
    };
    let secret = secret.trim();
    if secret.is_empty() {
        return Err(format!("{place} is empty"));
    }
    let bearer = Zeroizing::new(format!("Bearer {secret}"));
    let mut header = HeaderValue::from_str(&bearer)
        .map_err(|_| format!("{place} holds bytes that no header may have"))?;
    header.set_sensitive(true);
    Ok(header)
}
