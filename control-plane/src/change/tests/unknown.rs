//! The store cannot say what became of a transaction: exactly one effect, one record, and the
//! client learns which.

use serde_json::json;
use serin_proto::{key::Kind, unit::Revision};
use serin_store::Error;

use crate::{
    change::{self, IdempotencyKey, Precondition, Refusal},
    secret::Digest,
    stage::{Stage, admin, asked, body, key, provider, route},
};

/// What happens to the transactions of one change, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It commits, the answer is lost.
    AnswerLost,
    /// It never arrives, and nobody can say so.
    RequestLost,
    /// The store is certainly away.
    Away,
}

use Trouble::{AnswerLost, Away, RequestLost};

/// Ways to change something.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Create,
    Replace,
    Delete,
    Move,
    Apply,
}

fn brew(stage: &Stage, troubles: &[Trouble]) {
    for trouble in troubles {
        match trouble {
            AnswerLost => stage.memory.commit_but_say_unknown(),
            RequestLost => stage.memory.fail_next(Error::Unknown {
                receipt: None,
                why: "cut".to_owned(),
            }),
            Away => stage
                .memory
                .fail_next(Error::Unavailable("gone".to_owned())),
        }
    }
}

async fn attempt(stage: &Stage, deed: Deed) -> Result<Revision, Refusal> {
    let (plane, admin) = (&stage.plane, admin());
    let exists = || asked(Precondition::Exists);
    let chat = || key(Kind::Route, "chat");
    match deed {
        Deed::Create => {
            let (asked, q) = (asked(Precondition::Absent), key(Kind::Provider, "q"));
            let done = change::put(plane, &admin, q, body(&provider()), asked).await;
            done.map(|changed| changed.revision)
        }
        Deed::Replace => {
            let wider = body(&route(&["a", "b", "c"], json!(null)));
            let done = change::put(plane, &admin, chat(), wider, exists()).await;
            done.map(|changed| changed.revision)
        }
        Deed::Delete => {
            let done = change::delete(plane, &admin, chat(), exists()).await;
            done.map(|changed| changed.revision)
        }
        Deed::Move => {
            let all = body(&json!({"weights": {"b": 100}}));
            let done = change::put_traffic(plane, &admin, "chat", all, exists()).await;
            done.map(|changed| changed.revision)
        }
        Deed::Apply => {
            let file = json!({"tiers": [{"name": "gold"}, {"name": "free"}]});
            let mut asked = asked(Precondition::None);
            asked.idempotency = Some(IdempotencyKey {
                sha256: Digest::of(b"key"),
                body_sha256: Digest::of(b"body"),
            });
            let done = change::apply(plane, &admin, body(&file), false, asked).await;
            done.map(|applied| applied.revision)
        }
    }
}

/// Every sequence of at most three troubles.
fn scripts() -> Vec<Vec<Trouble>> {
    let mut scripts: Vec<Vec<Trouble>> = vec![Vec::new()];
    for length in 1..=3 {
        let shorter: Vec<Vec<Trouble>> = scripts
            .iter()
            .filter(|script| script.len() == length - 1)
            .cloned()
            .collect();
        for script in shorter {
            for trouble in [AnswerLost, RequestLost, Away] {
                scripts.push([&script[..], &[trouble]].concat());
            }
        }
    }
    scripts
}

async fn cut(script: Vec<Trouble>, deed: Deed) {
    let stage = Stage::new().await.with_chat().await;
    let (before, records) = (stage.memory.revision(), stage.audit().await.len());
    brew(&stage, &script);
    match attempt(&stage, deed).await {
        Ok(revision) => {
            let what = format!("{deed:?} through {script:?}");
            assert_ne!(script.first(), Some(&Away), "{what}");
            assert_eq!(
                stage.memory.revision(),
                Revision(before.0 + 1),
                "{what}: one effect"
            );
            assert_eq!(
                revision,
                stage.memory.revision(),
                "{what}: the client learns which"
            );
            let audit = stage.audit().await;
            assert_eq!(audit.len(), records + 1, "{what}: one record");
            assert_eq!(
                audit.last().map(|(at, _)| *at),
                Some(revision),
                "{what}: of that revision"
            );
        }
        Err(refusal) => {
            let what = format!("{deed:?} through {script:?}: {refusal}");
            assert_eq!(refusal.code(), "store_unavailable", "{what}");
            assert_eq!(script.first(), Some(&Away), "{what}");
            assert_eq!(
                stage.memory.revision(),
                before,
                "{what}: nothing was written"
            );
        }
    }
}

#[tokio::test]
async fn a_cut_connection_leaves_one_effect_and_one_record_in_two_hundred_places() {
    let deeds = [
        Deed::Create,
        Deed::Replace,
        Deed::Delete,
        Deed::Move,
        Deed::Apply,
    ];
    let mut running = Vec::new();
    for script in scripts() {
        running.extend(deeds.map(|deed| tokio::spawn(cut(script.clone(), deed))));
    }
    assert_eq!(running.len(), 200);
    for one in running {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn what_certainly_was_not_done_is_said_so_and_leaves_nothing() {
    let stage = Stage::new().await;
    let table = [
        (
            Error::Unavailable("gone".to_owned()),
            503,
            "store_unavailable",
        ),
        (Error::Full("quota".to_owned()), 507, "store_full"),
        (Error::Denied("who".to_owned()), 503, "store_unavailable"),
        (
            Error::TooLarge("much".to_owned()),
            413,
            "document_too_large",
        ),
    ];
    for (error, status, code) in table {
        stage.memory.fail_next(error);
        let put = stage
            .try_put(Kind::Provider, "p", &provider(), Precondition::None)
            .await;
        let refused = put.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (status, code));
    }
    assert_eq!(stage.memory.revision(), Revision(1), "nothing was written");
}

#[tokio::test]
async fn a_store_that_is_away_refuses_reads_and_writes_and_is_used_again_when_it_is_back() {
    let stage = Stage::new().await.with_chat().await;
    stage.memory.partition();
    let put = stage
        .try_put(Kind::Provider, "q", &provider(), Precondition::None)
        .await;
    assert_eq!(put.unwrap_err().status(), 503);
    assert!(
        stage.plane.is_ready(),
        "being away is the store's trouble, not ours"
    );
    stage.memory.heal();
    stage.put(Kind::Provider, "q", &provider()).await;
}
