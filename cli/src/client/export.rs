//! `serin export`: every document as a file that `apply` takes back.

use super::{Api, list::list};
use crate::{args::remote::Export, exit::Failed, output, tree::Tree};

const LISTS: [&str; 4] = ["providers", "tiers", "routes", "keys"];
/// Hex digits of a whole digest.
const DIGEST_DIGITS: usize = 64;

pub(crate) async fn export(export: &Export) -> Result<(), Failed> {
    let api = Api::new(&export.server)?;
    let (mut file, mut unreadable) = (Vec::new(), Vec::new());
    for plural in LISTS {
        let listed = list(&api, plural, None).await?;
        unreadable.extend(
            listed
                .unreadable
                .iter()
                .map(|tree| format!("{plural}: {tree}")),
        );
        if !listed.items.is_empty() {
            file.push((plural.to_owned(), Tree::List(listed.items)));
        }
    }
    let file = Tree::Map(file);
    if has_cut_digests(&file) {
        let message = "the digests of keys are shown to this token cut short, and such a file \
                       could not be applied: export with the token of an admin";
        return Err(Failed::because(message));
    }
    output::print(&output::yaml(&file)?)?;
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Failed::because(format!(
        "left out, because they cannot be read:\n{}",
        unreadable.join("\n")
    )))
}

fn has_cut_digests(file: &Tree) -> bool {
    let keys = file.get("keys").map(Tree::items).unwrap_or_default();
    keys.iter()
        .flat_map(|key| key.get("secrets").map(Tree::items).unwrap_or_default())
        .filter_map(|secret| secret.get("sha256").and_then(Tree::text))
        .any(|digest| digest.len() < DIGEST_DIGITS)
}
