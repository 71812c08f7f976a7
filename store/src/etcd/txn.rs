//! A transaction in etcd's words. Pure: it is sent by `mod.rs`.

use std::collections::BTreeSet;

use etcd_client::{
    Compare as EtcdCompare, CompareOp, PutOptions, Txn as EtcdTxn, TxnOp, TxnOpResponse,
    TxnResponse,
};
use serin_proto::unit::Revision;

use super::keys::{bounds, entry, full, number, revision};
use crate::{Compare, Key, Op, Outcome, Scope, Txn};

/// What is sent. When a compare does not hold, the keys it names are read in the same step.
pub(super) fn request(txn: &Txn) -> EtcdTxn {
    let compares: Vec<EtcdCompare> = txn.compares.iter().map(compare).collect();
    let ops: Vec<TxnOp> = txn.ops.iter().map(operation).collect();
    let named: BTreeSet<&Key> = txn.compares.iter().filter_map(named).collect();
    let reads: Vec<TxnOp> = named
        .into_iter()
        .map(|key| TxnOp::get(full(key), None))
        .collect();
    EtcdTxn::new().when(compares).and_then(ops).or_else(reads)
}

/// What came of it.
pub(super) fn outcome(answer: &TxnResponse) -> Outcome {
    let at = answer
        .header()
        .map_or_else(Revision::default, |header| revision(header.revision()));
    if answer.succeeded() {
        return Outcome::Committed(at);
    }
    let everything = Scope::All.range();
    let mut now = Vec::new();
    for response in answer.op_responses() {
        if let TxnOpResponse::Get(mut read) = response {
            let kvs = read.take_kvs().into_iter();
            now.extend(kvs.filter_map(|kv| entry(kv.0, &everything)));
        }
    }
    Outcome::Conflict { now, revision: at }
}

fn compare(compare: &Compare) -> EtcdCompare {
    match compare {
        Compare::ModRevision(key, revision) => {
            EtcdCompare::mod_revision(full(key), CompareOp::Equal, number(*revision))
        }
        Compare::CreateRevision(key, revision) => {
            EtcdCompare::create_revision(full(key), CompareOp::Equal, number(*revision))
        }
        // One compare with a range end holds for every key of the range, so for an empty one too.
        Compare::NothingNewer(range, revision) => {
            let (first, end) = bounds(range);
            let above = number(*revision).saturating_add(1);
            EtcdCompare::mod_revision(first, CompareOp::Less, above).with_range(end)
        }
    }
}

fn operation(op: &Op) -> TxnOp {
    match op {
        Op::Put(key, value, lease) => {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(full(key), value.to_vec(), options)
        }
        Op::Delete(key) => TxnOp::delete(full(key), None),
    }
}

fn named(compare: &Compare) -> Option<&Key> {
    match compare {
        Compare::ModRevision(key, _) | Compare::CreateRevision(key, _) => Some(key),
        Compare::NothingNewer(..) => None,
    }
}
