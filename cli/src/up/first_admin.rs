//! The first token: who starts `serin up` must be able to use it.
//!
//! Where neither the settings nor the store have an admin, `tokens/admin` is made, guarded by its
//! absence, and its secret is shown once, on stderr. It is never logged: logs are kept and shipped.

use std::net::SocketAddr;

use serin_control_plane::{Applier, Refusal};

use crate::{
    exit::Failed,
    output,
    secret::{self, TOKEN_PREFIX},
};

/// Makes the token if there is no admin, and shows it in the same breath: nothing may fail between
/// the two, or nobody would ever have it.
pub(super) async fn make_and_show(applier: &Applier, api: SocketAddr) -> Result<(), Failed> {
    if let Some(secret) = create(applier).await? {
        show(&secret, api);
    }
    Ok(())
}

async fn create(applier: &Applier) -> Result<Option<String>, Failed> {
    let made = secret::make(TOKEN_PREFIX, "admin")?;
    let digest = made
        .sha256
        .parse()
        .map_err(|bad: serin_control_plane::BadDigest| Failed::because(bad.to_string()))?;
    match applier.first_admin(digest).await {
        Ok(created) => Ok(created.then_some(made.secret)),
        // A token of that name is there, in the store or in the settings, and is no admin's.
        Err(Refusal::Stale { .. } | Refusal::Invalid(_)) => {
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
fn show(secret: &str, api: SocketAddr) {
    output::note(format_args!(
        "\nNobody could change anything yet, so there is a first token, shown this once:\n\n  \
         export SERIN_SERVER=http://{api} SERIN_TOKEN={secret}\n\nserin get routes, serin traffic \
         ROUTE and the others use it; serin token create makes more.\n"
    ));
}
