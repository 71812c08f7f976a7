//! The text of one scrape.

use std::{borrow::Cow, sync::atomic::Ordering::Relaxed, time::Instant};

use serin_proto::{
    exposition::{self, Family, Sample, Value},
    key::Kind,
    metric::{
        Metric,
        control_plane::{
            AUDIT_ENTRIES, AUTH_FAILURES, BUILD_INFO, DOCUMENTS, GRPC_REQUESTS,
            HTTP_REQUEST_DURATION, HTTP_REQUESTS, LEADER, ROUTER_ACK, ROUTER_APPLIED_REVISION,
            ROUTER_REJECTED_DOCUMENTS, ROUTERS, RouterState, STORE_REVISION, STORE_TXN,
            STORE_TXN_DURATION, STORE_WATCH_UP, WATCH_CLIENTS,
        },
    },
};

use super::Metrics;
use crate::{
    clock,
    fleet::{Router, State},
    plane::Plane,
};

/// What stands at the moment of a scrape.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    pub(crate) leads: bool,
    /// Newest revision that was seen; 0: none.
    pub(crate) store_revision: u64,
    /// Whether documents are being followed.
    pub(crate) watch_up: bool,
    pub(crate) documents: [(Kind, usize); 4],
    pub(crate) routers: Vec<Router>,
    /// Rollouts are told in Flagger's words, too.
    pub(crate) flagger_aliases: bool,
}

/// The text of one scrape of a control plane.
pub(crate) fn scrape(plane: &Plane) -> String {
    let now = clock::now();
    let facts = Facts {
        now,
        leads: plane.leadership.borrow().leading.is_some(),
        store_revision: plane.view.revision().0,
        watch_up: plane.view.is_up(),
        documents: plane.view.counts(),
        routers: plane.fleet.routers(now),
        flagger_aliases: plane.settings.flagger_aliases,
    };
    plane.metrics.text(&facts)
}

pub(super) type Series<'a> = (Vec<Cow<'a, str>>, Value<'a>);

impl Metrics {
    /// The text of one scrape, to be served as `serin_proto::exposition::TEXT_CONTENT_TYPE`.
    pub(crate) fn text(&self, facts: &Facts) -> String {
        let mut families = self.standing(facts);
        let (leads, as_flagger) = (facts.leads, facts.flagger_aliases);
        families.extend(self.rollouts.families(leads, as_flagger, facts.now));
        families.extend(self.counted());
        let mut out = String::with_capacity(16 * 1024);
        exposition::text(&families, &mut out);
        out
    }

    fn standing<'a>(&self, facts: &'a Facts) -> Vec<Family<'a>> {
        let one = |number: f64| vec![(Vec::new(), Value::Number(number))];
        let build = vec![self.version.into(), self.commit.into()];
        let documents = facts.documents.iter().map(|(kind, count)| {
            let kind = Cow::Borrowed(kind.plural());
            (vec![kind], Value::Number(*count as f64))
        });
        let states = RouterState::ALL.map(|state| {
            let count = facts
                .routers
                .iter()
                .filter(|router| is(router, state))
                .count();
            (vec![state.as_str().into()], Value::Number(count as f64))
        });
        let of_routers = |number: fn(&Router) -> u64| -> Vec<Series<'a>> {
            let readable = facts
                .routers
                .iter()
                .filter(|router| router.state != State::Unreadable);
            let series = readable.map(|router| {
                let id = Cow::Borrowed(router.id.as_str());
                (vec![id], Value::Number(number(router) as f64))
            });
            series.collect()
        };
        vec![
            family(&LEADER, one(f64::from(u8::from(facts.leads)))),
            family(&BUILD_INFO, vec![(build, Value::Number(1.0))]),
            family(&STORE_REVISION, one(facts.store_revision as f64)),
            family(&STORE_WATCH_UP, one(f64::from(u8::from(facts.watch_up)))),
            family(&DOCUMENTS, documents.collect()),
            family(&ROUTERS, states.to_vec()),
            family(
                &ROUTER_APPLIED_REVISION,
                of_routers(|router| router.applied_revision),
            ),
            family(
                &ROUTER_REJECTED_DOCUMENTS,
                of_routers(|router| router.rejected_count),
            ),
            family(&WATCH_CLIENTS, one(self.watchers.load(Relaxed) as f64)),
        ]
    }

    fn counted(&self) -> Vec<Family<'static>> {
        let word = |word: &'static str| Cow::Borrowed(word);
        vec![
            family(
                &STORE_TXN,
                labelled(self.txns.values(), |(backend, result)| {
                    vec![word(backend), word(result.as_str())]
                }),
            ),
            family(
                &STORE_TXN_DURATION,
                labelled(self.txn_times.values(), |backend| vec![word(backend)]),
            ),
            family(
                &ROUTER_ACK,
                labelled(self.ack_times.values(), |()| Vec::new()),
            ),
            family(
                &HTTP_REQUESTS,
                labelled(self.http.values(), |(method, path, code)| {
                    vec![word(method), word(path), Cow::Owned(code.to_string())]
                }),
            ),
            family(
                &HTTP_REQUEST_DURATION,
                labelled(self.http_times.values(), |(method, path)| {
                    vec![word(method), word(path)]
                }),
            ),
            family(
                &GRPC_REQUESTS,
                labelled(self.grpc.values(), |(method, code)| {
                    vec![word(method), word(code)]
                }),
            ),
            family(
                &AUTH_FAILURES,
                labelled(self.auth_failures.values(), |reason| vec![word(reason)]),
            ),
            family(
                &AUDIT_ENTRIES,
                labelled(self.audit_entries.values(), |(kind, verb)| {
                    vec![word(kind), word(verb)]
                }),
            ),
        ]
    }
}

/// An unreadable report acknowledges nothing.
fn is(router: &Router, state: RouterState) -> bool {
    match state {
        RouterState::Live => router.state == State::Live,
        RouterState::Lagging => router.state != State::Live,
    }
}

pub(super) fn labelled<K>(
    values: Vec<(K, Value<'static>)>,
    labels: impl Fn(K) -> Vec<Cow<'static, str>>,
) -> Vec<Series<'static>> {
    let series = values.into_iter().map(|(key, value)| (labels(key), value));
    series.collect()
}

pub(super) fn family<'a>(of: &'static Metric, series: Vec<Series<'a>>) -> Family<'a> {
    let samples = series.into_iter().map(|(labels, value)| {
        debug_assert_eq!(labels.len(), of.labels.len(), "labels of {}", of.name);
        Sample {
            labels: of.labels.iter().copied().zip(labels).collect(),
            value,
        }
    });
    Family {
        name: of.name,
        help: of.help,
        kind: of.kind,
        samples: samples.collect(),
    }
}
