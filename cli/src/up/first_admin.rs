//! The first token: who starts `serin up` must be able to use it.
//!
//! Where neither the settings nor the store have an admin, `tokens/admin` is made, guarded by its
//! absence, and its secret is shown once, on stderr. It is never logged: logs are kept and shipped.

use std::net::SocketAddr;

use serin_control_plane::{Applier, Refusal};

use crate::{
    exit::Failed,
    secret::{self, TOKEN_PREFIX},
};

/// Makes the token if there is no admin; gives its secret.
pub(super) async fn create(applier: &Applier) -> Result<Option<String>, Failed> {
    let made = secret::make(TOKEN_PREFIX, "admin")?;
    let digest = made
        .sha256
        .parse()
        .map_err(|bad: serin_control_plane::BadDigest| Failed::because(bad.to_string()))?;
    match applier.first_admin(digest).await {
        Ok(created) => Ok(created.then_some(made.secret)),
        // A token of that name is there and is no admin's, or not any more.
        Err(Refusal::Stale { .. }) => {
            tracing::warn!(
                "nobody may change documents: token admin is no admin's; add one to \
                 server.controlPlane.tokens and restart"
            );
            Ok(None)
        }
        Err(refusal) => Err(Failed::because(format!(
            "cannot make the first token: {refusal}"
        ))),
    }
}

/// Once, on stderr.
pub(super) fn show(secret: &str, api: SocketAddr) {
    eprintln!(
        "\nNobody could change anything yet, so there is a first token, shown this once:\n\n  \
         export SERIN_SERVER=http://{api} SERIN_TOKEN={secret}\n\nserin get routes, serin traffic \
         ROUTE and the others use it; serin token create makes more.\n"
    );
}
