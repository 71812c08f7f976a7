//! One change, one transaction: done, refused, or told to be unknown; never guessed.
//!
//! A change is judged, written with its guards, and judged again when a guard failed, with the view
//! caught up. Its audit record is its receipt: only its own transaction creates it.

use std::future::Future;

use serin_proto::{
    key::{DocumentKey, StoreKey},
    unit::Revision,
};
use serin_store::{Compare, Key, Op, Txn};

use super::{
    Asked, Refusal,
    audit::{Differences, Verb, record},
    settle::{Settled, settle},
};
use crate::{auth::Actor, clock, failpoint, plane::Plane};

/// Times that a change is judged while others change what it rests on.
const TRIES_MAX: usize = 5;
/// Most compares of a transaction: etcd takes 128.
const COMPARES_MAX: usize = 120;

/// A change that can be judged as often as what it rests on moves.
pub(super) trait Deed: Sync {
    type Answer: Send;

    /// Whether the view of the documents must catch up before it is judged again. Who reads all it
    /// rests on from the store need not wait for it.
    const RESTS_ON_VIEW: bool = true;

    /// What it comes to as things stand; `id` will be that of its audit record.
    fn judge(
        &self,
        plane: &Plane,
        id: &str,
    ) -> impl Future<Output = Result<Judged<Self::Answer>, Refusal>> + Send;

    /// The answer, once it is known at which revision it was done.
    fn done(answer: Self::Answer, revision: Revision) -> Self::Answer;
}

/// What a change comes to.
pub(super) enum Judged<A> {
    /// There is nothing to write: a dry run, no difference, an answer given before.
    Answer(A),
    Write(Box<Write<A>>),
}

/// A change that may be written.
pub(super) struct Write<A> {
    /// What it rests on, its own keys included.
    pub(super) guards: Vec<Compare>,
    pub(super) ops: Vec<Op>,
    pub(super) verb: Verb,
    pub(super) differences: Differences,
    pub(super) answer: A,
}

/// Judges and writes until it is done or refused.
pub(super) async fn carry_out<D: Deed>(
    plane: &Plane,
    actor: &Actor,
    asked: &Asked,
    deed: &D,
) -> Result<D::Answer, Refusal> {
    let done = attempt(plane, actor, asked, deed).await;
    if let Err(refusal) = &done {
        let (code, request_id) = (refusal.code(), &asked.request_id);
        tracing::info!(actor = actor.name, code, request_id, "change refused");
    }
    done
}

async fn attempt<D: Deed>(
    plane: &Plane,
    actor: &Actor,
    asked: &Asked,
    deed: &D,
) -> Result<D::Answer, Refusal> {
    // One id for all tries, so that at most one of all that is ever sent commits.
    let id = plane.ulids.next();
    for _ in 0..TRIES_MAX {
        let write = match deed.judge(plane, &id).await? {
            Judged::Answer(answer) => return Ok(answer),
            Judged::Write(write) => *write,
        };
        let told = Told::of(&write.differences, write.verb);
        let at = clock::wall();
        let record = record((&id, at), actor, asked, write.verb, &write.differences)?;
        let txn = transaction(&id, write.guards, write.ops, record)?;
        failpoint::reach(told.verb, "before");
        match settle(&*plane.store, &id, txn).await? {
            Settled::Committed(revision) => {
                failpoint::reach(told.verb, "after");
                plane.metrics.audited(told.kind, told.verb);
                tracing::info!(
                    audit = id,
                    actor = actor.name,
                    role = %actor.role,
                    via = %actor.via,
                    verb = told.verb,
                    keys = told.keys,
                    reason = asked.reason,
                    request_id = asked.request_id,
                    %revision,
                    "change committed"
                );
                return Ok(D::done(write.answer, revision));
            }
            Settled::Conflict(revision) if D::RESTS_ON_VIEW => {
                plane.view.caught_up(revision).await?;
            }
            Settled::Conflict(_) => {}
        }
    }
    Err(Refusal::Conflict)
}

/// What is told of a committed change besides who did it.
struct Told {
    kind: &'static str,
    verb: &'static str,
    keys: String,
}

impl Told {
    fn of(differences: &Differences, verb: Verb) -> Self {
        let (kind, keys) = match differences {
            Differences::One(one) => (kind(&one.key), one.key.clone()),
            Differences::Many { changes } => {
                let keys: Vec<&str> = changes.iter().map(|one| one.key.as_str()).collect();
                let is_rollout = keys.first().is_some_and(|key| key.starts_with("rollouts/"));
                let kind = if is_rollout { "rollouts" } else { "documents" };
                (kind, keys.join(" "))
            }
        };
        Self {
            kind,
            verb: verb.as_str(),
            keys,
        }
    }
}

fn kind(key: &str) -> &'static str {
    match key.parse::<DocumentKey>() {
        Ok(document) => document.kind.plural(),
        Err(_) if key.starts_with("tokens/") => "tokens",
        Err(_) => "store",
    }
}

fn transaction(
    id: &str,
    guards: Vec<Compare>,
    ops: Vec<Op>,
    record: Vec<u8>,
) -> Result<Txn, Refusal> {
    let receipt = receipt(id);
    let mut compares = vec![Compare::CreateRevision(
        receipt.clone(),
        Revision::default(),
    )];
    compares.extend(guards);
    let mut all = ops;
    all.push(Op::Put(receipt.clone(), record.into(), None));
    if compares.len() > COMPARES_MAX {
        let why = format!(
            "it rests on {} things at once, at most {COMPARES_MAX}: send it in parts",
            compares.len()
        );
        return Err(Refusal::TooLarge(why));
    }
    let txn = Txn {
        compares,
        ops: all,
        receipt: Some(receipt),
    };
    txn.check()?;
    Ok(txn)
}

/// The key of the record of that id.
pub(super) fn receipt(id: &str) -> Key {
    Key::from(&StoreKey::Audit(id.to_owned()))
}
