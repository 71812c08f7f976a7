//! Pages have no gaps and no repeats; the audit begins with the newest.

use serde_json::json;
use serin_proto::{key::Kind, token::Role};

use super::*;
use crate::stage::{Stage, actor, provider, route};

async fn pages(stage: &Stage, kind: Kind, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut page_token) = (Vec::new(), None);
    loop {
        let part = Part { limit, page_token };
        let listed = documents(&stage.plane, &actor(Role::Viewer), kind, &part)
            .await
            .unwrap();
        let names = listed
            .items
            .iter()
            .map(|one| one.json["name"].as_str().unwrap().to_owned());
        pages.push(names.collect());
        page_token = listed.next_page_token;
        if page_token.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn a_list_comes_in_pages_of_its_own_kind_alone() {
    let stage = Stage::new().await.with_chat().await;
    for name in ["a", "b", "c", "d"] {
        stage.put(Kind::Provider, name, &provider()).await;
    }
    stage.put(Kind::Tier, "gold", &json!({})).await;
    assert_eq!(
        pages(&stage, Kind::Provider, 2).await,
        [vec!["a", "b"], vec!["c", "d"], vec!["p"]]
    );
    assert_eq!(
        pages(&stage, Kind::Provider, 5).await,
        [vec!["a", "b", "c", "d", "p"]]
    );
    assert_eq!(
        pages(&stage, Kind::Provider, usize::MAX).await,
        [vec!["a", "b", "c", "d", "p"]]
    );
    assert_eq!(pages(&stage, Kind::Route, 1).await, [vec!["chat"]]);
    assert_eq!(pages(&stage, Kind::Key, 1).await, [Vec::<String>::new()]);
    for bad in ["", "../x", "a/b", "a b", "a\0"] {
        let part = Part {
            limit: 1,
            page_token: Some(bad.to_owned()),
        };
        let refused = documents(&stage.plane, &actor(Role::Viewer), Kind::Key, &part).await;
        assert_eq!(refused.unwrap_err().status(), 400, "{bad:?}");
    }
}

#[tokio::test]
async fn what_lies_under_no_name_hides_no_document() {
    let stage = Stage::new().await;
    for name in ["a", "b", "c"] {
        stage.put(Kind::Provider, name, &provider()).await;
    }
    for odd in ["A", "_", "a/x", "a_b", "b b", "bb/", "c-", "z/z/z"] {
        stage
            .write_raw(&format!("config/providers/{odd}"), Some(b"{}"))
            .await;
    }
    for limit in [1, 2, 3] {
        let pages = pages(&stage, Kind::Provider, limit).await;
        assert_eq!(pages.concat(), ["a", "b", "c"], "{limit}: {pages:?}");
    }
}

#[tokio::test]
async fn the_audit_begins_with_the_newest_and_finds_what_is_asked_for() {
    let stage = Stage::new().await.with_chat().await;
    for _ in 0..3 {
        stage
            .put(Kind::Route, "chat", &route(&["a", "b"], Json::Null))
            .await;
        stage.put(Kind::Provider, "q", &provider()).await;
    }
    let viewer = actor(Role::Viewer);
    let all = |filter: Filter, limit: usize| {
        let (plane, viewer) = (&stage.plane, &viewer);
        async move {
            let (mut records, mut page_token) = (Vec::new(), None);
            loop {
                let part = Part { limit, page_token };
                let listed = audit(plane, viewer, &filter, &part).await.unwrap();
                assert!(listed.items.len() <= limit);
                records.extend(listed.items.into_iter().map(|one| one.revision.0));
                page_token = listed.next_page_token;
                if page_token.is_none() {
                    return records;
                }
            }
        }
    };
    assert_eq!(all(Filter::default(), 3).await, [9, 8, 7, 6, 5, 4, 3, 2]);
    let chat = Filter {
        key: Some("config/routes/chat".to_owned()),
        actor: None,
    };
    assert_eq!(all(chat, 2).await, [8, 6, 4, 3]);
    let nobody = Filter {
        key: None,
        actor: Some("nobody".to_owned()),
    };
    assert_eq!(all(nobody, 2).await, Vec::<u64>::new());
    let admins = Filter {
        key: None,
        actor: Some("the-admin".to_owned()),
    };
    assert_eq!(all(admins, 100).await.len(), 8);
}

#[tokio::test]
async fn a_replica_reads_what_its_neighbour_wrote_at_once() {
    let one = Stage::new().await;
    let two = Stage::beside(&one.memory).await;
    two.staged.news(crate::stage::News::Never);
    let put = one.put(Kind::Provider, "p", &provider()).await;
    let key = crate::stage::key(Kind::Provider, "p");
    let shown = document(&two.plane, &actor(Role::Viewer), &key)
        .await
        .unwrap();
    assert_eq!(
        (Some(shown.json), shown.revision),
        (put.document, put.revision)
    );
    let none = crate::stage::key(Kind::Provider, "none");
    let missing = document(&two.plane, &actor(Role::Viewer), &none)
        .await
        .unwrap_err();
    assert_eq!((missing.status(), missing.code()), (404, "not_found"));
}
