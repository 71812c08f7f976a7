//! `serin delete`: one document or token goes, whatever its revision.

use awc::http::{Method, StatusCode, header::IF_MATCH};

use super::{Api, Call, api::Refused};
use crate::{
    args::remote::{Delete, Deleted, Server},
    exit::Failed,
    output,
};

pub(crate) async fn delete(delete: &Delete) -> Result<(), Failed> {
    remove(&delete.server, delete.kind, &delete.name).await
}

/// The same for `token revoke`.
pub(crate) async fn remove(server: &Server, kind: Deleted, name: &str) -> Result<(), Failed> {
    let api = Api::new(server)?;
    let path = format!("/{}/{name}", kind.plural());
    let call = Call::new(Method::DELETE, &path).header(IF_MATCH, "*");
    match api.call(&call).await {
        Ok(_) => {
            output::note(format_args!("{} {name} deleted", kind.singular()));
            Ok(())
        }
        Err(refused) if is_absent(&refused) => Err(Failed::NotFound(format!(
            "there is no {} {name}",
            kind.singular()
        ))),
        Err(refused) => Err(refused.into()),
    }
}

/// `If-Match: *` holds for whatever exists, so a 412 says that nothing does.
fn is_absent(refused: &Refused) -> bool {
    let status = refused.status();
    status == Some(StatusCode::PRECONDITION_FAILED) || status == Some(StatusCode::NOT_FOUND)
}
