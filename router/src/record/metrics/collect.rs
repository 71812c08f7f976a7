//! The scrape: from arrays of atomics to families of series.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Histogram, MetricFamily, MetricType},
};
use serin_proto::{
    exposition::{self, Family as Text, Sample, Value},
    metric::{
        self, ActorKind, Applied, Arm, BreakerState, Ending, Operation, OverheadPhase, PanicPlace,
        Phase, Role, TokenSource, TokenType, family,
    },
};

use super::{
    Metrics,
    families::Family,
    hist::{Hist, Total},
    route::{CODES, CODES_AT_ZERO, RouteMetrics},
    target::TargetMetrics,
};
use crate::clock;

/// Parts of a second, and of a dollar, that sums are kept in.
const NANO: f64 = 1e9;

/// Builds all of the router's families.
pub(super) struct RouterCollector {
    metrics: Arc<Metrics>,
    descriptions: Vec<Desc>,
}

impl RouterCollector {
    pub(super) fn new(metrics: Arc<Metrics>) -> prometheus::Result<Self> {
        let describe = |metric: &metric::Metric| {
            let labels = metric
                .labels
                .iter()
                .map(|label| (*label).to_owned())
                .collect();
            Desc::new(
                metric.name.to_owned(),
                metric.help.to_owned(),
                labels,
                Default::default(),
            )
        };
        let descriptions = family::ALL.iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self {
            metrics,
            descriptions,
        })
    }
}

impl Collector for RouterCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = of_routes(&self.metrics.routes());
        let targets = self.metrics.targets();
        families.extend(attempts_of(&targets));
        families.extend(times_of(&targets));
        families.extend(spend_of(&targets));
        let now_ms = clock::since_start_ms(clock::now());
        families.extend(state_of(&targets, now_ms));
        families.extend(of_process(&self.metrics));
        families.into_iter().map(Family::into_proto).collect()
    }
}

fn of_routes(routes: &[Arc<RouteMetrics>]) -> Vec<Family> {
    let mut requests = Family::new(family::REQUESTS);
    let mut duration = Family::new(family::REQUEST_DURATION);
    let mut disconnects = Family::new(family::CLIENT_DISCONNECTS);
    let mut in_flight = Family::new(family::REQUESTS_IN_FLIGHT);
    let mut streams = Family::new(family::STREAMS_IN_FLIGHT);
    for route in routes {
        let name = &*route.route;
        for operation in Operation::ALL {
            for (stream, word) in [(0, "false"), (1, "true")] {
                let at = (operation as usize, stream);
                let labels = [name, operation.as_str(), word];
                requests_of(route, at, labels, &mut requests);
                let total = total(&route.shards, |shard| &shard.duration[at.0][at.1]);
                if operation == Operation::Chat || total.count() > 0 {
                    duration.histogram(&labels, &total, NANO);
                }
            }
        }
        for phase in Phase::ALL {
            let left = sum(&route.shards, |shard| &shard.disconnects[phase as usize]);
            disconnects.counter(&[name, phase.as_str()], left as f64);
        }
        let now: i64 = route
            .shards
            .iter()
            .map(|shard| shard.in_flight.load(Relaxed))
            .sum();
        in_flight.gauge(&[name], now as f64);
        let now: i64 = route
            .shards
            .iter()
            .map(|shard| shard.streams_in_flight.load(Relaxed))
            .sum();
        streams.gauge(&[name], now as f64);
    }
    vec![requests, duration, in_flight, streams, disconnects]
}

fn requests_of(route: &RouteMetrics, at: (usize, usize), labels: [&str; 3], family: &mut Family) {
    let [name, operation, word] = labels;
    for (slot, code) in CODES.iter().enumerate() {
        let count = sum(&route.shards, |shard| &shard.requests[at.0][at.1][slot]);
        let known = at.0 == Operation::Chat as usize && slot < CODES_AT_ZERO;
        if known || count > 0 {
            family.counter(&[name, operation, word, &code.to_string()], count as f64);
        }
    }
    let rare = route.rare.lock().unwrap_or_else(PoisonError::into_inner);
    for ((of, stream, code), count) in rare.iter() {
        if (*of, usize::from(*stream)) == at {
            family.counter(&[name, operation, word, &code.to_string()], *count as f64);
        }
    }
}

/// Every pair of arm and role of a target that has something to show: role `first` of the arms it
/// has stood for exists at 0.
fn roles(target: &TargetMetrics) -> impl Iterator<Item = (Arm, Role, bool)> {
    Arm::ALL.into_iter().flat_map(move |arm| {
        let stands = target.arms[arm as usize].load(Relaxed);
        Role::ALL
            .into_iter()
            .map(move |role| (arm, role, stands && role == Role::First))
    })
}

fn attempts_of(targets: &[Arc<TargetMetrics>]) -> Vec<Family> {
    let mut attempts = Family::new(family::UPSTREAM_REQUESTS);
    let mut samples = Family::new(family::ANALYSIS_SAMPLES);
    let mut retries = Family::new(family::RETRIES);
    let mut fallbacks = Family::new(family::FALLBACKS);
    for target in targets {
        let (route, name) = (&*target.route, &*target.target);
        for (arm, role, known) in roles(target) {
            for ending in Ending::ALL {
                let labels = [
                    route,
                    name,
                    arm.as_str(),
                    role.as_str(),
                    ending.outcome(),
                    ending.reason(),
                ];
                let at = (arm as usize, role as usize, ending as usize);
                let count = sum(&target.shards, |shard| &shard.attempts[at.0][at.1][at.2]);
                if known || count > 0 {
                    attempts.counter(&labels, count as f64);
                }
                let sampled = sum(&target.shards, |shard| &shard.samples[at.0][at.2]);
                if role == Role::First && (known || sampled > 0) {
                    samples.counter(&labels, sampled as f64);
                }
            }
        }
        for ending in Ending::ALL {
            let count = sum(&target.shards, |shard| &shard.retries[ending as usize]);
            if count > 0 {
                retries.counter(&[route, name, ending.reason()], count as f64);
            }
        }
        let handed_on = target
            .fallbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for ((to, ending), count) in handed_on.iter() {
            let reason = Ending::ALL
                .get(*ending)
                .map_or("", |ending| ending.reason());
            fallbacks.counter(&[route, name, to, reason], *count as f64);
        }
    }
    vec![attempts, samples, retries, fallbacks]
}

fn times_of(targets: &[Arc<TargetMetrics>]) -> Vec<Family> {
    let mut duration = Family::new(family::UPSTREAM_DURATION);
    let mut first_token = Family::new(family::UPSTREAM_TTFT);
    let mut per_token = Family::new(family::UPSTREAM_TIME_PER_OUTPUT_TOKEN);
    for target in targets {
        for (arm, role, known) in roles(target) {
            let labels = [&*target.route, &*target.target, arm.as_str(), role.as_str()];
            let (a, r) = (arm as usize, role as usize);
            let add = |family: &mut Family, total: Total| {
                if known || total.count() > 0 {
                    family.histogram(&labels, &total, NANO);
                }
            };
            add(
                &mut duration,
                total(&target.shards, |shard| &shard.duration[a][r]),
            );
            add(
                &mut first_token,
                total(&target.shards, |shard| &shard.first_token[a][r]),
            );
            add(
                &mut per_token,
                total(&target.shards, |shard| &shard.per_token[a][r]),
            );
        }
    }
    vec![duration, first_token, per_token]
}

fn spend_of(targets: &[Arc<TargetMetrics>]) -> Vec<Family> {
    let mut tokens = Family::new(family::TOKENS);
    let mut cost = Family::new(family::COST);
    let mut output = Family::new(family::OUTPUT_TOKENS);
    let mut per_request = Family::new(family::REQUEST_COST);
    for target in targets {
        for arm in Arm::ALL {
            let at = arm as usize;
            let known = target.arms[at].load(Relaxed);
            let labels = [&*target.route, &*target.target, arm.as_str()];
            let [route, name, arm] = labels;
            for kind in TokenType::ALL {
                for source in TokenSource::ALL {
                    let (k, s) = (kind as usize, source as usize);
                    let count = sum(&target.shards, |shard| &shard.tokens[at][k][s]);
                    if known || count > 0 {
                        let labels = [route, name, arm, kind.as_str(), source.as_str()];
                        tokens.counter(&labels, count as f64);
                    }
                }
            }
            let spent = sum(&target.shards, |shard| &shard.cost_nano_usd[at]);
            let length = total(&target.shards, |shard| &shard.output_tokens[at]);
            let price = total(&target.shards, |shard| &shard.request_cost[at]);
            if known || spent > 0 || length.count() > 0 {
                cost.counter(&labels, spent as f64 / NANO);
                output.histogram(&labels, &length, 1.0);
                per_request.histogram(&labels, &price, NANO);
            }
        }
    }
    vec![tokens, cost, output, per_request]
}

fn state_of(targets: &[Arc<TargetMetrics>], now_ms: u64) -> Vec<Family> {
    let mut breaker = Family::new(family::BREAKER_STATE);
    let mut transitions = Family::new(family::BREAKER_TRANSITIONS);
    let mut up = Family::new(family::TARGET_UP);
    let mut weight = Family::new(family::TARGET_WEIGHT);
    for target in targets {
        let labels = [&*target.route, &*target.target];
        let [route, name] = labels;
        let now = target.breaker_state(now_ms);
        for state in BreakerState::ALL {
            let is = f64::from(u8::from(state == now));
            breaker.gauge(&[route, name, state.as_str()], is);
            let count = target.breaker_transitions[state as usize].load(Relaxed);
            transitions.counter(&[route, name, state.as_str()], count as f64);
        }
        up.gauge(&labels, f64::from(u8::from(target.up.load(Relaxed))));
        weight.gauge(&labels, f64::from(target.weight.load(Relaxed)) / 10_000.0);
    }
    vec![breaker, transitions, up, weight]
}

fn of_process(metrics: &Metrics) -> Vec<Family> {
    let process = &metrics.process;
    let mut overhead = Family::new(family::OVERHEAD);
    for phase in OverheadPhase::ALL {
        let total = total(&process.shards, |shard| &shard.overhead[phase as usize]);
        overhead.histogram(&[phase.as_str()], &total, NANO);
    }
    let gauge = |of, value: f64| {
        let mut family = Family::new(of);
        family.gauge(&[], value);
        family
    };
    let get = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let mut unknown_fields = Family::new(family::CONFIG_UNKNOWN_FIELDS);
    unknown_fields.counter(&[], get(&process.unknown_fields));
    let mut failures = Family::new(family::SNAPSHOT_WRITE_FAILURES);
    failures.counter(&[], get(&process.snapshot_write_failures));
    let mut applies = Family::new(family::CONFIG_APPLIES);
    for result in Applied::ALL {
        applies.counter(&[result.as_str()], get(&process.applies[result as usize]));
    }
    let mut dropped = Family::new(family::ACTOR_MESSAGES_DROPPED);
    for actor in ActorKind::ALL {
        dropped.counter(&[actor.as_str()], get(&process.dropped[actor as usize]));
    }
    let mut panics = Family::new(family::PANICS);
    for place in PanicPlace::ALL {
        panics.counter(&[place.as_str()], get(&process.panics[place as usize]));
    }
    let mut build = Family::new(family::BUILD_INFO);
    build.gauge(&[metrics.build.0, metrics.build.1], 1.0);
    vec![
        overhead,
        gauge(family::CONFIG_REVISION, get(&process.config_revision)),
        gauge(family::CONFIG_WATCH_UP, get(&process.config_watch_up)),
        gauge(
            family::CONFIG_LAST_PROGRESS,
            get(&process.config_progress_unix_ms) / 1e3,
        ),
        gauge(
            family::CONFIG_REJECTED_DOCUMENTS,
            get(&process.config_rejected),
        ),
        unknown_fields,
        applies,
        dropped,
        panics,
        failures,
        build,
    ]
}

fn sum<S>(shards: &[S], counter: impl Fn(&S) -> &AtomicU64) -> u64 {
    let counts = shards.iter().map(|shard| counter(shard).load(Relaxed));
    counts.fold(0, u64::saturating_add)
}

fn total<S, const N: usize>(shards: &[S], hist: impl Fn(&S) -> &Hist<N>) -> Total {
    let mut total = Total::default();
    for shard in shards {
        hist(shard).add_to(&mut total);
    }
    total
}

/// What `prometheus` gathered, as text with canonical bounds.
pub(super) fn text(families: &[MetricFamily]) -> String {
    let families: Vec<Text<'_>> = families.iter().map(as_text).collect();
    let mut out = String::with_capacity(64 * 1024);
    exposition::text(&families, &mut out);
    out
}

fn as_text(family: &MetricFamily) -> Text<'_> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => metric::Kind::Counter,
        MetricType::HISTOGRAM => metric::Kind::Histogram,
        _ => metric::Kind::Gauge,
    };
    let samples = family.get_metric().iter().map(|metric| {
        let labels = metric
            .get_label()
            .iter()
            .map(|pair| (pair.name(), pair.value().into()));
        let value = match kind {
            metric::Kind::Counter => Value::Number(metric.get_counter().get_value()),
            metric::Kind::Gauge => Value::Number(metric.get_gauge().get_value()),
            metric::Kind::Histogram => histogram(family.name(), metric.get_histogram()),
        };
        Sample {
            labels: labels.collect(),
            value,
        }
    });
    Text {
        name: family.name(),
        help: family.help(),
        kind,
        samples: samples.collect(),
    }
}

/// Only our own families have buckets, so their bounds are known by name.
fn histogram<'a>(name: &str, histogram: &Histogram) -> Value<'a> {
    let known = family::ALL.iter().find(|metric| metric.name == name);
    let mut below = 0;
    let own = |cumulative: u64| cumulative - std::mem::replace(&mut below, cumulative);
    let buckets = histogram
        .get_bucket()
        .iter()
        .map(|bucket| bucket.cumulative_count());
    let all = buckets.chain(std::iter::once(histogram.get_sample_count()));
    Value::Histogram {
        bounds: known.map_or(&[], |metric| metric.buckets),
        counts: all.map(own).collect(),
        sum: histogram.get_sample_sum(),
    }
}
