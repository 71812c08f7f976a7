//! Changes by who started the process: the file of `serin up`, and its first token.

use std::sync::Arc;

use serin_proto::{
    key::StoreKey,
    token::{Role, Token},
    v1,
};
use serin_store::{Page, Scope, Store};
use tokio::runtime::Handle;

use crate::{
    auth::{self, Actor, Via},
    background::keep,
    change::{self, Applied, Asked, Body, Precondition, Refusal},
    clock,
    plane::Plane,
    secret::Digest,
    settings::MetricsSource,
    settings::Settings,
    view,
};

/// The name of the token that is made where nobody could come in.
const FIRST_ADMIN: &str = "admin";

/// How a file is applied.
#[derive(Clone, Debug, Default)]
pub struct Apply {
    /// The file's traffic instead of the live one.
    pub traffic: bool,
    /// Judge and answer, write nothing.
    pub dry_run: bool,
    /// For the audit.
    pub reason: String,
}

/// Changes a store by the same rules as the API, without a listener.
#[derive(Debug)]
pub struct Applier {
    plane: Arc<Plane>,
}

impl Applier {
    /// Follows the store until it is dropped. Needs a Tokio runtime around it.
    pub fn new(settings: &Settings, store: Arc<dyn Store>) -> Self {
        let on = Handle::current();
        let settings = Settings {
            // It changes documents and runs no rollout.
            metrics_source: MetricsSource::None,
            ..settings.clone()
        };
        let plane = Plane::new(settings, store, on.clone());
        // They end when the plane is stopped.
        keep(&on, &plane, "view", view::follow);
        keep(&on, &plane, "tokens", auth::follow);
        Self { plane }
    }

    /// Applies a file's providers, tiers, routes and keys, as `POST /apply` does. `actor` is who the
    /// audit names: `file:PATH`.
    ///
    /// # Errors
    /// As the API; the pointers of faults begin at the file.
    pub async fn apply(
        &self,
        actor: &str,
        file: &v1::File,
        options: Apply,
    ) -> Result<Applied, Refusal> {
        let documents = v1::File {
            server: None,
            rollouts: Vec::new(),
            ..file.clone()
        };
        let asked = Asked {
            dry_run: options.dry_run,
            reason: options.reason,
            ..Asked::default()
        };
        let body = Body::Message(documents);
        change::apply(&self.plane, &owner(actor), body, options.traffic, asked).await
    }

    /// Makes the token `admin` of that secret if neither settings nor store have one that is an
    /// admin's now. Gives whether it did.
    ///
    /// # Errors
    /// As the API: [`Refusal::Stale`] if a token of that name is there and is no admin's.
    pub async fn first_admin(&self, sha256: Digest) -> Result<bool, Refusal> {
        let settings = &self.plane.settings.tokens;
        if settings.iter().any(|token| token.role == Role::Admin) || self.has_admin().await? {
            return Ok(false);
        }
        let token = v1::Token {
            role: Role::Admin.as_str().to_owned(),
            sha256: sha256.to_string(),
            expires_at: String::new(),
        };
        let asked = Asked {
            precondition: Precondition::Absent,
            reason: "there was no admin".to_owned(),
            ..Asked::default()
        };
        let (actor, body) = (owner("start"), Body::Message(token));
        change::put_token(&self.plane, &actor, FIRST_ADMIN, body, asked).await?;
        Ok(true)
    }

    async fn has_admin(&self) -> Result<bool, Refusal> {
        let tokens = self.plane.store.list(Scope::Tokens, Page::whole()).await?;
        let now = clock::wall();
        let is_admin = |value: &[u8]| {
            Token::read_tolerant(value).is_ok_and(|token| {
                token.role == Role::Admin && token.expires_at.is_none_or(|at| at > now)
            })
        };
        let named = tokens
            .entries
            .iter()
            .filter(|entry| matches!(entry.key.as_str().parse(), Ok(StoreKey::Token(_))));
        Ok(named.into_iter().any(|entry| is_admin(&entry.value)))
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.plane.stop();
    }
}

/// Who started the process may do all.
fn owner(name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        role: Role::Admin,
        via: Via::File,
    }
}

#[cfg(test)]
mod tests;
