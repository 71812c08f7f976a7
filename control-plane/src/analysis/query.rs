//! What is asked of a metrics source, and the text of the question in PromQL. Pure.
//!
//! Our own questions are raw range vectors: samples as they were scraped. `rate` and `increase` guess
//! what happened between them, and a verdict must not rest on a guess. Queries of a plan are taken as
//! they are written, with `{{ variables }}` filled in.

use std::collections::BTreeMap;

use serin_proto::metric::{Arm, BreakerState, Metric, Role, family};

use super::{sample::Millis, want::Family};

/// When a process began: set by every Prometheus client, ours included.
pub const PROCESS_START: &str = "process_start_time_seconds";
/// The source's own time.
pub const TIME: &str = "time()";

/// Series by name and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    names: Vec<String>,
    labels: Vec<(&'static str, OneOf)>,
}

/// What the value of a label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OneOf {
    This(String),
    Any(Vec<String>),
}

impl Select {
    /// What a family of a route's metrics is counted from. Histograms come with all their buckets:
    /// which of them matter is not known to a source, and `le` is a number in two spellings.
    #[must_use]
    pub fn family(family: Family, route: &str) -> Self {
        let metric = metric(family);
        let names = if metric.buckets.is_empty() {
            vec![metric.name.to_owned()]
        } else {
            ["_bucket", "_sum"]
                .map(|end| format!("{}{end}", metric.name))
                .to_vec()
        };
        let mut labels = vec![("route", OneOf::This(route.to_owned()))];
        if metric.labels.contains(&"role") {
            labels.push(("role", OneOf::This(Role::First.as_str().to_owned())));
        }
        Self { names, labels }
    }

    /// Whether the candidate's breaker is open, by router.
    #[must_use]
    pub fn breaker(route: &str, candidate: &str) -> Self {
        let mut select = Self::target(&family::BREAKER_STATE, route, candidate);
        let open = BreakerState::Open.as_str().to_owned();
        select.labels.push(("state", OneOf::This(open)));
        select
    }

    /// Whether the candidate may be sent to, by router.
    #[must_use]
    pub fn up(route: &str, candidate: &str) -> Self {
        Self::target(&family::TARGET_UP, route, candidate)
    }

    fn target(metric: &Metric, route: &str, candidate: &str) -> Self {
        Self {
            names: vec![metric.name.to_owned()],
            labels: vec![
                ("route", OneOf::This(route.to_owned())),
                ("target", OneOf::This(candidate.to_owned())),
            ],
        }
    }

    /// One series of every router, whatever it serves: who is scraped, when, how often.
    #[must_use]
    pub fn routers() -> Self {
        Self {
            names: vec![family::CONFIG_REVISION.name.to_owned()],
            labels: Vec::new(),
        }
    }

    /// When the processes of these jobs began.
    #[must_use]
    pub fn starts(jobs: Vec<String>) -> Self {
        Self {
            names: vec![PROCESS_START.to_owned()],
            labels: vec![("job", OneOf::Any(jobs))],
        }
    }

    /// The samples of the last `window_ms` before the time of evaluation.
    #[must_use]
    pub fn promql(&self, window_ms: u64) -> String {
        let mut matchers = Vec::new();
        let name = match self.names.as_slice() {
            [name] => name.as_str(),
            names => {
                matchers.push(format!("__name__=~{}", quoted(&names.join("|"))));
                ""
            }
        };
        for (label, value) in &self.labels {
            matchers.push(match value {
                OneOf::This(value) => format!("{label}={}", quoted(value)),
                OneOf::Any(values) => {
                    let values: Vec<String> = values.iter().map(|v| literal(v)).collect();
                    format!("{label}=~{}", quoted(&values.join("|")))
                }
            });
        }
        if matchers.is_empty() {
            return format!("{name}[{window_ms}ms]");
        }
        format!("{name}{{{}}}[{window_ms}ms]", matchers.join(","))
    }

    /// Whether a series is among those meant. A label that is not there is empty.
    #[must_use]
    pub fn takes(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let fits = |(label, value): &(&'static str, OneOf)| {
            let there = labels.get(*label).map_or("", String::as_str);
            match value {
                OneOf::This(value) => value == there,
                OneOf::Any(values) => values.iter().any(|value| value == there),
            }
        };
        self.names.iter().any(|one| one == name) && self.labels.iter().all(fits)
    }
}

/// The metric that a family is read from.
#[must_use]
pub fn metric(family: Family) -> &'static Metric {
    match family {
        Family::Samples => &family::ANALYSIS_SAMPLES,
        Family::Ttft => &family::UPSTREAM_TTFT,
        Family::Duration => &family::UPSTREAM_DURATION,
        Family::OutputTokens => &family::OUTPUT_TOKENS,
        Family::Cost => &family::REQUEST_COST,
    }
}

/// The label that tells the candidate's series from the control.
#[must_use]
pub fn is_canary(labels: &BTreeMap<String, String>, candidate: &str) -> Option<bool> {
    let arm = labels.get("arm")?;
    if arm == Arm::Stable.as_str() {
        return Some(false);
    }
    // Another target's canary series are what an earlier rollout left.
    let ours = arm == Arm::Canary.as_str() && labels.get("target")? == candidate;
    ours.then_some(true)
}

/// A moment as the API takes it: seconds with three decimals.
#[must_use]
pub fn seconds(at: Millis) -> String {
    format!("{}.{:03}", at / 1_000, at % 1_000)
}

/// A text as PromQL writes it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', r"\n"))
}

/// A text that means itself within a regular expression.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// What a query of a plan may name.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    pub route: &'a str,
    pub candidate: &'a str,
    /// The other targets with a share: joined by `|`, for `=~`.
    pub stable: &'a [&'a str],
    /// Of the metric.
    pub interval_ms: u64,
    /// The rollout's id.
    pub rollout: &'a str,
    /// `analysis.variables`
    pub own: &'a BTreeMap<String, String>,
}

/// Why a query cannot be asked as it is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrendered {
    #[error("there is no variable {{{{ {0} }}}}")]
    Missing(String),
    #[error("{{{{ is never closed")]
    Unclosed,
}

/// Fills in `{{ name }}`. Values stand as they are, as in Flagger's templates.
///
/// # Errors
/// A variable that is not there, braces that are not closed.
pub fn render(template: &str, variables: &Variables<'_>) -> Result<String, Unrendered> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(Unrendered::Unclosed)?;
        let name = name.trim();
        out.push_str(before);
        let value = variables.value(name);
        out.push_str(&value.ok_or_else(|| Unrendered::Missing(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Variables<'_> {
    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "route" | "name" => self.route.to_owned(),
            "candidate" | "target" => self.candidate.to_owned(),
            "stable" => self.stable.join("|"),
            "interval" if self.interval_ms.is_multiple_of(1_000) => {
                format!("{}s", self.interval_ms / 1_000)
            }
            "interval" => format!("{}ms", self.interval_ms),
            "rollout" => self.rollout.to_owned(),
            "namespace" => "serin".to_owned(),
            _ => self.own.get(name.strip_prefix("variables.")?)?.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    #[test]
    fn each_question_has_its_text() {
        let table = [
            (Select::family(Family::Samples, "chat"), r#"serin_analysis_samples_total{route="chat",role="first"}[20000ms]"#),
            (Select::family(Family::Ttft, "chat"),
             r#"{__name__=~"serin_upstream_ttft_seconds_bucket|serin_upstream_ttft_seconds_sum",route="chat",role="first"}[20000ms]"#),
            (Select::family(Family::Duration, "chat"),
             r#"{__name__=~"serin_upstream_duration_seconds_bucket|serin_upstream_duration_seconds_sum",route="chat",role="first"}[20000ms]"#),
            (Select::family(Family::OutputTokens, "chat"),
             r#"{__name__=~"serin_output_tokens_bucket|serin_output_tokens_sum",route="chat"}[20000ms]"#),
            (Select::family(Family::Cost, "chat"),
             r#"{__name__=~"serin_request_cost_usd_bucket|serin_request_cost_usd_sum",route="chat"}[20000ms]"#),
            (Select::breaker("chat", "claude"), r#"serin_breaker_state{route="chat",target="claude",state="open"}[20000ms]"#),
            (Select::up("chat", "claude"), r#"serin_target_up{route="chat",target="claude"}[20000ms]"#),
            (Select::routers(), "serin_config_revision[20000ms]"),
            (Select::starts(vec!["serin/router".into(), "a.b|c".into()]),
             r#"process_start_time_seconds{job=~"serin/router|a\\.b\\|c"}[20000ms]"#),
            // Names cannot hold these; a text from anywhere still ends where it should.
            (Select::up("a\"b\\c\nd", "}"), r#"serin_target_up{route="a\"b\\c\nd",target="}"}[20000ms]"#),
        ];
        for (select, text) in table {
            assert_eq!(select.promql(20_000), text);
        }
        assert_eq!(seconds(1_790_000_000_045), "1790000000.045");
    }

    #[test]
    fn every_name_and_label_is_one_that_routers_expose() {
        let families = [
            Family::Samples,
            Family::Ttft,
            Family::Duration,
            Family::OutputTokens,
        ];
        for family in families.into_iter().chain([Family::Cost]) {
            let (metric, select) = (metric(family), Select::family(family, "r"));
            for name in &select.names {
                assert!(name.starts_with(metric.name), "{name}");
            }
            assert!(
                select
                    .labels
                    .iter()
                    .all(|(label, _)| metric.labels.contains(label))
            );
            // Where a role is told, only role first is asked for.
            let has_role = metric.labels.contains(&"role");
            assert_eq!(
                select.labels.iter().any(|(label, _)| *label == "role"),
                has_role
            );
        }
        for (select, metric) in [
            (Select::breaker("r", "t"), family::BREAKER_STATE),
            (Select::up("r", "t"), family::TARGET_UP),
        ] {
            assert!(
                select
                    .labels
                    .iter()
                    .all(|(label, _)| metric.labels.contains(label))
            );
        }
    }

    #[test]
    fn a_series_is_taken_by_the_same_rule_as_the_text_says() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            owned.collect()
        };
        let ttft = Select::family(Family::Ttft, "chat");
        let ours = labels(&[("route", "chat"), ("role", "first"), ("le", "1.0")]);
        assert!(ttft.takes("serin_upstream_ttft_seconds_bucket", &ours));
        assert!(!ttft.takes("serin_upstream_ttft_seconds_count", &ours));
        let retry = labels(&[("route", "chat"), ("role", "retry")]);
        assert!(!ttft.takes("serin_upstream_ttft_seconds_sum", &retry));
        assert!(Select::starts(vec![String::new()]).takes(PROCESS_START, &labels(&[])));
        assert!(!Select::starts(vec!["a".into()]).takes(PROCESS_START, &labels(&[])));
    }

    #[test]
    fn arms_are_told_apart_and_another_canary_is_neither() {
        let arm = |arm: &str, target: &str| {
            let pairs = [("arm", arm), ("target", target)];
            let owned = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
            is_canary(&owned.into_iter().collect(), "claude")
        };
        assert_eq!(arm("stable", "gpt"), Some(false));
        assert_eq!(arm("stable", "claude"), Some(false));
        assert_eq!(arm("canary", "claude"), Some(true));
        assert_eq!(arm("canary", "gpt"), None);
        assert_eq!(is_canary(&BTreeMap::new(), "claude"), None);
    }

    #[rustfmt::skip]
    #[test]
    fn variables_are_filled_in_or_the_missing_one_is_named() {
        let own = [("tier".to_owned(), "gold".to_owned())].into();
        let variables = Variables {
            route: "chat", candidate: "claude", stable: &["gpt", "mistral"], interval_ms: 60_000, rollout: "7f3a", own: &own,
        };
        let table = [
            ("up", "up"),
            ("{{route}} {{ candidate }} {{  stable  }}", "chat claude gpt|mistral"),
            ("x[{{ interval }}] {{ rollout }} {{ variables.tier }}", "x[60s] 7f3a gold"),
            ("{{ name }} {{ target }} {{ namespace }}", "chat claude serin"),
            ("a{b=\"{{ route }}\"}", "a{b=\"chat\"}"),
            // A value is not looked into again.
            ("}} {{ route }}", "}} chat"),
        ];
        for (template, text) in table {
            assert_eq!(render(template, &variables).unwrap(), text);
        }
        let short = Variables { interval_ms: 1_500, ..variables };
        assert_eq!(render("{{ interval }}", &short).unwrap(), "1500ms");
        let missing = |name: &str| Err(Unrendered::Missing(name.to_owned()));
        assert_eq!(render("{{ variables.other }}", &variables), missing("variables.other"));
        assert_eq!(render("{{ ingress }}", &variables), missing("ingress"));
        assert_eq!(render("{{}}", &variables), missing(""));
        assert_eq!(render("a {{ route", &variables), Err(Unrendered::Unclosed));
        assert_eq!(render("{{ x }}", &variables).unwrap_err().to_string(), "there is no variable {{ x }}");
    }
}
