//! Rollouts as families of series.

use std::{borrow::Cow, sync::atomic::Ordering::Relaxed, time::Instant};

use serin_proto::{
    exposition::{Family, Value},
    metric::{
        Metric,
        control_plane::rollout::{
            ACK_LAG, COMPLETED, Completed, DECISION_WORDS, DECISIONS, DURATION, EVIDENCE_RESTARTS,
            INFO, LAST_EVALUATION, LIMIT, LOG_CERTIFICATE, LOG_CERTIFICATE_THRESHOLD, LOG_EVIDENCE,
            LOG_EVIDENCE_THRESHOLD, OUTBOX_PENDING, PAUSE_DURATION, PAUSE_REASONS, PAUSED, PHASE,
            PHASES, QUERY_DURATION, QUERY_ERRORS, RATE, SAMPLE_RATIO_ALARM, SAMPLES,
            SAMPLES_REQUIRED, SHARE, SOURCE_UP, STEP, STEPS, TICK_DURATION, TOTAL, TRANSITIONS,
            TRANSITIONS_TAKEN, VERDICT, VERDICTS, WEBHOOK_DURATION, WEBHOOK_REQUESTS,
        },
    },
};

use super::{
    super::text::{Series, family, labelled},
    Counted, Rollouts, Route,
    rows::{Row, Weighed},
    shown::{self, Shown},
};
use crate::analysis::{sample::Arms, verdict::Verdict};

impl Rollouts {
    /// What a scrape shows. `leads`: rollouts themselves are told, in Flagger's words too if
    /// `as_flagger`.
    pub(in super::super) fn families(
        &self,
        leads: bool,
        as_flagger: bool,
        now: Instant,
    ) -> Vec<Family<'static>> {
        self.forget(now);
        let mut families = Vec::new();
        if leads {
            families.extend(self.standing());
            families.extend(self.evidence());
            families.extend(self.counted());
            if as_flagger {
                families.extend(self.as_flagger());
            }
        }
        families.extend(self.work());
        families
    }

    fn standing(&self) -> Vec<Family<'static>> {
        let flag = |is: bool| Value::Number(f64::from(u8::from(is)));
        let hot = |words: &'static [&'static str], is: &dyn Fn(&Shown, &str) -> bool| {
            self.each(|name, _, shown| {
                let series = words
                    .iter()
                    .map(|word| (labels(&[name, word]), flag(is(shown, word))));
                series.collect()
            })
        };
        let verdicts = Verdict::ALL.map(Verdict::as_str);
        let verdict = self.each(|name, _, shown| {
            let told = shown.verdict.map(Verdict::as_str);
            let series = verdicts
                .iter()
                .map(|word| (labels(&[name, word]), flag(told == Some(word))));
            series.collect()
        });
        let info = self.each(|name, _, shown| {
            vec![(labels(&[name, &shown.id, &shown.candidate]), flag(true))]
        });
        let is_paused = |shown: &Shown, word: &str| {
            let mut reasons = shown.reasons.iter();
            reasons.any(|reason| shown::reason(*reason) == word)
        };
        let evaluated = self.each(|name, route, _| {
            let at = route.evaluated.map(|at| Value::Number(at.as_secs_f64()));
            at.map(|at| (labels(&[name]), at)).into_iter().collect()
        });
        vec![
            family(&INFO, info),
            family(
                &PHASE,
                hot(&PHASES, &|shown, word| shown::phase(shown.phase) == word),
            ),
            family(&VERDICT, verdict),
            family(&PAUSED, hot(&PAUSE_REASONS, &is_paused)),
            self.gauge(&STEP, |shown| shown.step.map_or(-1.0, f64::from)),
            self.gauge(&STEPS, |shown| shown.steps as f64),
            self.gauge(&SHARE, |shown| shown.share.as_ratio()),
            family(&LAST_EVALUATION, evaluated),
            self.gauge(&SAMPLES_REQUIRED, |shown| shown.samples_required as f64),
            self.gauge(&SAMPLE_RATIO_ALARM, |shown| {
                f64::from(u8::from(shown.evidence.sample_ratio_alarm))
            }),
            self.gauge(&ACK_LAG, |shown| shown.ack_lag.as_secs_f64()),
        ]
    }

    fn evidence(&self) -> Vec<Family<'static>> {
        let by_arm = |value: fn(&Row) -> Arms<Option<f64>>| {
            self.rows(|name, row| {
                let Arms { canary, stable } = value(row);
                let arms = [("canary", canary), ("stable", stable)];
                let series = arms.into_iter().filter_map(|(arm, value)| {
                    Some((labels(&[name, &row.metric, arm]), Value::Number(value?)))
                });
                series.collect()
            })
        };
        let samples = |row: &Row| Arms {
            canary: row.samples.canary.map(|n| n as f64),
            stable: row.samples.stable.map(|n| n as f64),
        };
        let by_metric = |value: fn(&Row) -> Option<f64>| {
            self.rows(|name, row| {
                let value = value(row).map(Value::Number);
                let series = value.map(|value| (labels(&[name, &row.metric]), value));
                series.into_iter().collect()
            })
        };
        let with_total = |value: fn(Weighed) -> f64| {
            self.each(|name, _, shown| {
                let rows = shown.evidence.rows.iter();
                let rows = rows.filter_map(|row| Some((row.metric.as_str(), row.harm?)));
                let total = shown.evidence.total.map(|total| (TOTAL, total));
                let all = rows.chain(total).map(|(metric, weighed)| {
                    (labels(&[name, metric]), Value::Number(value(weighed)))
                });
                all.collect()
            })
        };
        vec![
            family(&RATE, by_arm(|row| row.rate)),
            family(&SAMPLES, by_arm(samples)),
            family(&LIMIT, by_metric(|row| row.limit)),
            family(&LOG_EVIDENCE, with_total(|weighed| weighed.log)),
            family(
                &LOG_EVIDENCE_THRESHOLD,
                with_total(|weighed| weighed.threshold),
            ),
            family(
                &LOG_CERTIFICATE,
                by_metric(|row| row.certificate.map(|weighed| weighed.log)),
            ),
            family(
                &LOG_CERTIFICATE_THRESHOLD,
                by_metric(|row| row.certificate.map(|weighed| weighed.threshold)),
            ),
        ]
    }

    fn counted(&self) -> Vec<Family<'static>> {
        let source = match self.source.load(Relaxed) {
            0 => Vec::new(),
            answered => one(if answered == 2 { 1.0 } else { 0.0 }),
        };
        let restarts = self.each(|name, route, _| {
            let count = Value::Count(route.counted.evidence_restarts);
            vec![(labels(&[name]), count)]
        });
        let verdicts = Verdict::ALL.map(Verdict::as_str);
        let results = Completed::ALL.map(Completed::as_str);
        vec![
            family(&EVIDENCE_RESTARTS, restarts),
            self.counter(&VERDICTS, &verdicts, |counted| &counted.verdicts),
            self.counter(&DECISIONS, &DECISION_WORDS, |counted| &counted.decisions),
            self.counter(&TRANSITIONS_TAKEN, &TRANSITIONS, |counted| {
                &counted.transitions
            }),
            self.counter(&COMPLETED, &results, |counted| &counted.completed),
            family(
                &DURATION,
                labelled(self.lasted.values(), |result| vec![result.into()]),
            ),
            family(
                &PAUSE_DURATION,
                labelled(self.paused.values(), |reason| vec![reason.into()]),
            ),
            family(&SOURCE_UP, source),
            family(&OUTBOX_PENDING, one(self.outbox.load(Relaxed) as f64)),
        ]
    }

    /// What this process did, leader or not.
    fn work(&self) -> Vec<Family<'static>> {
        vec![
            family(
                &TICK_DURATION,
                labelled(self.ticks.values(), |()| Vec::new()),
            ),
            family(
                &QUERY_DURATION,
                labelled(self.queries.values(), |()| Vec::new()),
            ),
            family(
                &QUERY_ERRORS,
                labelled(self.query_errors.values(), |reason| vec![reason.into()]),
            ),
            family(
                &WEBHOOK_REQUESTS,
                labelled(self.webhooks.values(), |(kind, result)| {
                    vec![kind.into(), result.as_str().into()]
                }),
            ),
            family(
                &WEBHOOK_DURATION,
                labelled(self.webhook_times.values(), |kind| vec![kind.into()]),
            ),
        ]
    }

    fn gauge(&self, of: &'static Metric, value: impl Fn(&Shown) -> f64) -> Family<'static> {
        let series =
            self.each(|name, _, shown| vec![(labels(&[name]), Value::Number(value(shown)))]);
        family(of, series)
    }

    fn counter(
        &self,
        of: &'static Metric,
        words: &[&'static str],
        counts: for<'a> fn(&'a Counted) -> &'a [u64],
    ) -> Family<'static> {
        let series = self.each(|name, route, _| {
            let counts = words.iter().zip(counts(&route.counted));
            let series = counts.map(|(word, count)| (labels(&[name, word]), Value::Count(*count)));
            series.collect()
        });
        family(of, series)
    }

    /// Series of every metric of every route.
    fn rows(&self, series: impl Fn(&str, &Row) -> Vec<Series<'static>>) -> Vec<Series<'static>> {
        self.each(|name, _, shown| {
            let rows = shown.evidence.rows.iter();
            rows.flat_map(|row| series(name, row)).collect()
        })
    }

    /// Series of every route.
    fn each(
        &self,
        series: impl Fn(&str, &Route, &Shown) -> Vec<Series<'static>>,
    ) -> Vec<Series<'static>> {
        let routes = self.lock();
        let shown = routes
            .iter()
            .filter_map(|(name, route)| Some((name, route, route.shown.as_ref()?)));
        shown
            .flat_map(|(name, route, shown)| series(name, route, shown))
            .collect()
    }
}

fn labels(words: &[&str]) -> Vec<Cow<'static, str>> {
    words.iter().map(|word| (*word).to_owned().into()).collect()
}

fn one(number: f64) -> Vec<Series<'static>> {
    vec![(Vec::new(), Value::Number(number))]
}
