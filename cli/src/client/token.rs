//! `serin token`: who may use the control plane.

use awc::http::{Method, StatusCode, header::IF_NONE_MATCH};
use serde_json::json;

use super::{Api, Call, delete};
use crate::{
    args::remote::{Deleted, TokenCreate, TokenRevoke},
    clock,
    exit::Failed,
    output,
    secret::{self, TOKEN_PREFIX},
};

/// Prints the secret alone on stdout.
pub(crate) async fn create(create: &TokenCreate) -> Result<(), Failed> {
    let api = Api::new(&create.server)?;
    let made = secret::make(TOKEN_PREFIX, &create.name)?;
    let mut body = json!({"role": create.role.as_str(), "sha256": made.sha256});
    if let Some(span) = create.expires {
        let at = clock::after(clock::now(), span);
        body["expiresAt"] = at
            .ok_or_else(|| Failed::Usage("--expires is too long".to_owned()))?
            .into();
    }
    let path = format!("/tokens/{}", create.name);
    let call = Call::new(Method::PUT, &path)
        .header(IF_NONE_MATCH, "*")
        .json(body.to_string());
    match api.call(&call).await {
        Ok(_) => {
            output::note(format_args!(
                "token {} created; its secret is shown this once:",
                create.name
            ));
            output::print(&made.secret)
        }
        Err(refused) if refused.status() == Some(StatusCode::PRECONDITION_FAILED) => {
            let name = &create.name;
            let message = format!("token {name} exists: choose another name, or revoke it first");
            Err(Failed::Conflict(message))
        }
        Err(refused) => Err(refused.into()),
    }
}

pub(crate) async fn revoke(revoke: &TokenRevoke) -> Result<(), Failed> {
    delete::remove(&revoke.server, Deleted::Token, &revoke.name).await
}
