//! `serin get`: one item or a list, once or for as long as somebody looks.

use super::{
    Api,
    api::Refused,
    list::{Listed, list, one},
    show, watch,
};
use crate::{
    args::remote::{Form, Get, List, Seen},
    exit::Failed,
    output,
    tree::Tree,
};

/// Audit records shown unless told otherwise: the newest.
const AUDIT_SHOWN: usize = 50;

pub(crate) async fn get(get: &Get) -> Result<(), Failed> {
    let api = Api::new(&get.server)?;
    if get.watch {
        return watch::watch(&api, get).await;
    }
    match &get.name {
        Some(name) => single(&api, get.kind, name, get.output).await,
        None => print(get.kind, &look(&api, get).await?, get.output),
    }
}

/// `serin key list`.
pub(crate) async fn keys(asked: &List) -> Result<(), Failed> {
    whole(asked, Seen::Keys).await
}

/// `serin token list`.
pub(crate) async fn tokens(asked: &List) -> Result<(), Failed> {
    whole(asked, Seen::Tokens).await
}

async fn whole(asked: &List, kind: Seen) -> Result<(), Failed> {
    let api = Api::new(&asked.answer.server)?;
    print(
        kind,
        &list(&api, kind.plural(), None).await?,
        asked.answer.output,
    )
}

/// What a list holds now: all of it, or what the name and the limit leave of it.
pub(crate) async fn look(api: &Api, get: &Get) -> Result<Listed, Refused> {
    let limit = match (get.kind, &get.name) {
        (Seen::Audit, None) => Some(get.limit.unwrap_or(AUDIT_SHOWN)),
        (_, None) => get.limit,
        (_, Some(_)) => None,
    };
    let mut listed = list(api, get.kind.plural(), limit).await?;
    if let Some(limit) = limit {
        listed.items.truncate(limit);
    }
    if let Some(name) = &get.name {
        let is_it = |item: &Tree| identity(get.kind, item) == Some(name);
        listed.items.retain(is_it);
        listed.unreadable.clear();
    }
    Ok(listed)
}

async fn single(api: &Api, kind: Seen, name: &str, form: Form) -> Result<(), Failed> {
    let tree = match kind {
        // These have a list and no URL of their own.
        Seen::Routers | Seen::Audit => one(
            &list(api, kind.plural(), None).await?,
            identity_field(kind),
            name,
        )?,
        _ => api
            .get(&format!("/{}/{name}", kind.plural()))
            .await?
            .tree()?,
    };
    output::print(&show::text(kind, std::slice::from_ref(&tree), &tree, form)?)
}

fn print(kind: Seen, listed: &Listed, form: Form) -> Result<(), Failed> {
    output::print(&show::text(kind, &listed.items, &listed.tree(), form)?)?;
    if form == Form::Table {
        for unreadable in &listed.unreadable {
            output::note(format_args!("cannot be read: {unreadable}"));
        }
    }
    Ok(())
}

/// By what an item is told from the others.
pub(crate) fn identity(kind: Seen, item: &Tree) -> Option<&str> {
    item.get(identity_field(kind)).and_then(Tree::text)
}

fn identity_field(kind: Seen) -> &'static str {
    match kind {
        Seen::Routers | Seen::Audit => "id",
        _ => "name",
    }
}
