//! Every item of a list, page after page.

use super::{Api, api::Refused};
use crate::{exit::Failed, tree::Tree};

/// Items asked for at once.
const PAGE_ITEMS: usize = 500;
/// Most pages that are followed: a server that never ends is none of ours.
const PAGES_MAX: usize = 10_000;

/// What a list holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Tree>,
    /// What is stored and cannot be read as a document.
    pub(crate) unreadable: Vec<Tree>,
    /// The store's revision when the first page was read.
    pub(crate) revision: Option<String>,
}

impl Listed {
    /// `{items, unreadable}`, as one page of it would look.
    pub(crate) fn tree(&self) -> Tree {
        let mut fields = vec![("items".to_owned(), Tree::List(self.items.clone()))];
        if !self.unreadable.is_empty() {
            fields.push(("unreadable".to_owned(), Tree::List(self.unreadable.clone())));
        }
        Tree::Map(fields)
    }
}

/// The first `limit` items of `/plural`, or all.
pub(crate) async fn list(api: &Api, plural: &str, limit: Option<usize>) -> Result<Listed, Refused> {
    let mut listed = Listed::default();
    let mut token = String::new();
    for _ in 0..PAGES_MAX {
        let left = limit.map_or(PAGE_ITEMS, |limit| limit - listed.items.len());
        let mut path = format!("/{plural}?limit={}", left.min(PAGE_ITEMS));
        if !token.is_empty() {
            path += &format!("&pageToken={}", percent_encoded(&token));
        }
        let answer = api.get(&path).await?;
        let page = answer
            .tree()
            .map_err(|failed| Refused::Unreachable(failed.to_string()))?;
        let part = |name| page.get(name).map(Tree::items).unwrap_or_default().to_vec();
        listed.items.extend(part("items"));
        listed.unreadable.extend(part("unreadable"));
        listed.revision = listed
            .revision
            .or_else(|| answer.revision().map(str::to_owned));
        token = page
            .get("nextPageToken")
            .and_then(Tree::text)
            .unwrap_or_default()
            .to_owned();
        if token.is_empty() || limit.is_some_and(|limit| listed.items.len() >= limit) {
            break;
        }
    }
    Ok(listed)
}

/// The item whose `field` is `name`.
pub(crate) fn one(listed: &Listed, field: &str, name: &str) -> Result<Tree, Failed> {
    let is_it = |item: &&Tree| item.get(field).and_then(Tree::text) == Some(name);
    let found = listed.items.iter().find(is_it).cloned();
    found.ok_or_else(|| Failed::NotFound(format!("there is no {name}")))
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            coded.push(char::from(byte));
        } else {
            coded += &format!("%{byte:02X}");
        }
        coded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_may_hold_anything() {
        assert_eq!(percent_encoded("aZ9-._~"), "aZ9-._~");
        assert_eq!(percent_encoded("a/b+c=&é"), "a%2Fb%2Bc%3D%26%C3%A9");
    }
}
