//! `serin store adopt`: the way out of a hold.
//!
//! Without a reason nothing is done: it shows what would be accepted and which routers wait for it,
//! because routers that adopt an emptied store serve nothing from then on.

use awc::http::{Method, header::HeaderName};
use serde_json::json;

use super::{Api, Call, list::list};
use crate::{args::remote::Adopt, exit::Failed, output, secret::random_word, tree::Tree};

const LISTS: [&str; 4] = ["providers", "tiers", "routes", "keys"];

pub(crate) async fn adopt(adopt: &Adopt) -> Result<(), Failed> {
    let api = Api::new(&adopt.server)?;
    let Some(reason) = &adopt.reason else {
        return look(&api).await;
    };
    let call = Call::new(Method::POST, "/store/adopt")
        .header(HeaderName::from_static("idempotency-key"), random_word())
        .json(json!({"reason": reason}).to_string());
    api.call(&call).await?;
    output::note(format_args!(
        "adopted: routers in hold take what the store has; see serin get routers"
    ));
    Ok(())
}

async fn look(api: &Api) -> Result<(), Failed> {
    let mut rows = Vec::new();
    for plural in LISTS {
        let listed = list(api, plural, None).await?;
        let count = listed.items.len() + listed.unreadable.len();
        rows.push([plural.to_owned(), count.to_string()]);
    }
    let routers = list(api, "routers", None).await?;
    let holding: Vec<[String; 2]> = routers.items.iter().filter_map(hold).collect();
    output::print(&output::table(["THE STORE HOLDS", ""], &rows))?;
    if holding.is_empty() {
        output::note(format_args!("no router holds: there is nothing to adopt"));
        return Ok(());
    }
    output::print(&format!(
        "\n{}",
        output::table(["IN HOLD", "BECAUSE"], &holding)
    ))?;
    output::note(format_args!(
        "to have them take it: serin store adopt --reason \"…\""
    ));
    Ok(())
}

fn hold(router: &Tree) -> Option<[String; 2]> {
    let why = router.get("hold").and_then(Tree::text)?;
    let id = router.get("id").map(Tree::to_string).unwrap_or_default();
    Some([id, why.to_owned()])
}
