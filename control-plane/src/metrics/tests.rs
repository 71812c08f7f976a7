//! A scrape says what happened, in the words of the contract and no others.

use std::collections::BTreeSet;

use serin_proto::{
    fleet::Source,
    key::{Kind, StoreKey},
    metric::control_plane::ALL,
    unit::Revision,
};
use serin_store::{Compare, Entry, Error, Key, Outcome, Txn};

use super::*;
use crate::{
    clock,
    fleet::{Router, State},
};

pub(crate) fn facts() -> Facts {
    Facts {
        now: clock::now(),
        leads: true,
        store_revision: 17,
        watch_up: false,
        documents: [
            (Kind::Provider, 1),
            (Kind::Route, 2),
            (Kind::Key, 0),
            (Kind::Tier, 0),
        ],
        routers: Vec::new(),
        flagger_aliases: false,
    }
}

fn router(id: &str, state: State) -> Router {
    Router {
        id: id.to_owned(),
        version: String::new(),
        boot_id: String::new(),
        started_at: String::new(),
        admin_address: String::new(),
        applied_revision: 12,
        lag: 5,
        state,
        source: Source::Store,
        hold: None,
        rejected_count: 3,
        rejected: Vec::new(),
    }
}

fn assert_says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line}\nis not in\n{text}"
        );
    }
}

#[test]
fn every_family_of_the_contract_is_exposed_and_no_other() {
    let metrics = Metrics::new("1.2.3", "abc");
    metrics.txn("memory", TxnResult::Ok, Duration::from_millis(3));
    metrics.http(
        "GET",
        "/api/v1/routes/{name}",
        200,
        Duration::from_millis(1),
    );
    metrics.grpc("serin.v1.Routes/Get", "OK");
    metrics.auth_failed("missing");
    metrics.audited("routes", "put");
    rollouts::tests::tell_all(&metrics);
    let mut facts = facts();
    facts.routers.push(router("a", State::Live));
    let text = metrics.text(&facts);
    let exposed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let promised: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(exposed, promised);
    assert_says(
        &text,
        &[
            "serin_cp_build_info{version=\"1.2.3\",commit=\"abc\"} 1",
            "serin_cp_store_txn_total{backend=\"memory\",result=\"ok\"} 1",
            "serin_cp_store_txn_duration_seconds_bucket{backend=\"memory\",le=\"0.0025\"} 0",
            "serin_cp_store_txn_duration_seconds_bucket{backend=\"memory\",le=\"0.005\"} 1",
            "serin_cp_http_requests_total{method=\"GET\",path=\"/api/v1/routes/{name}\",code=\"200\"} 1",
            "serin_cp_http_request_duration_seconds_count{method=\"GET\",path=\"/api/v1/routes/{name}\"} 1",
            "serin_cp_grpc_requests_total{method=\"serin.v1.Routes/Get\",code=\"OK\"} 1",
            "serin_cp_auth_failures_total{reason=\"missing\"} 1",
            "serin_cp_audit_entries_total{kind=\"routes\",verb=\"put\"} 1",
        ],
    );
}

#[test]
fn what_stands_is_told_as_it_stands() {
    let metrics = Metrics::new("0", "0");
    let mut facts = facts();
    facts.routers = vec![
        router("a", State::Live),
        router("b", State::Lagging),
        router("c", State::Unreadable),
    ];
    let follower = metrics.watcher();
    assert_says(
        &metrics.text(&facts),
        &[
            "serin_cp_leader 1",
            "serin_cp_store_revision 17",
            "serin_cp_store_watch_up 0",
            "serin_cp_documents{kind=\"routes\"} 2",
            "serin_cp_documents{kind=\"tiers\"} 0",
            "serin_cp_routers{state=\"live\"} 1",
            "serin_cp_routers{state=\"lagging\"} 2",
            "serin_cp_router_applied_revision{router=\"b\"} 12",
            "serin_cp_router_rejected_documents{router=\"a\"} 3",
            "serin_cp_router_ack_seconds_count 0",
            "serin_cp_watch_clients 1",
        ],
    );
    drop(follower);
    let text = metrics.text(&facts);
    assert_says(&text, &["serin_cp_watch_clients 0"]);
    assert!(
        !text.contains("router=\"c\""),
        "what cannot be read has no revision\n{text}"
    );
}

#[test]
fn a_transaction_is_counted_by_what_became_of_it() {
    let seat = Key::from(&StoreKey::Election);
    let entry = |create: u64| Entry {
        key: seat.clone(),
        value: "{}".into(),
        create_revision: Revision(create),
        mod_revision: Revision(create),
        version: 1,
    };
    let conflict = |now: Vec<Entry>| {
        let revision = Revision(99);
        Ok(Outcome::Conflict { now, revision })
    };
    let unknown = Error::Unknown {
        receipt: None,
        why: String::new(),
    };
    let fenced = Some(Revision(7));
    let table = [
        (Ok(Outcome::Committed(Revision(9))), fenced, TxnResult::Ok),
        (conflict(vec![entry(7)]), fenced, TxnResult::Conflict),
        (conflict(vec![entry(8)]), fenced, TxnResult::Fenced),
        (conflict(vec![]), fenced, TxnResult::Fenced),
        (conflict(vec![entry(8)]), None, TxnResult::Conflict),
        (Err(unknown), None, TxnResult::Unknown),
        (Err(Error::Full(String::new())), fenced, TxnResult::Error),
    ];
    for (outcome, fence, expected) in table {
        let found = super::measured::result(&outcome, fence);
        assert_eq!(found, expected, "{outcome:?} {fence:?}");
    }
}

#[test]
fn a_claim_of_the_leaders_key_is_no_fenced_write() {
    let seat = Key::from(&StoreKey::Election);
    let txn = |revision| Txn {
        compares: vec![Compare::CreateRevision(seat.clone(), Revision(revision))],
        ..Txn::default()
    };
    assert_eq!(super::measured::fence(&txn(0)), None);
    assert_eq!(super::measured::fence(&txn(7)), Some(Revision(7)));
}
