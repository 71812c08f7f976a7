//! Each query of a plan asked once before it begins: one that the source cannot read is a fault of
//! the plan. A source that cannot be reached is none: the rollout waits for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serin_proto::{Fault, fault::Pointer, unit::parse_duration, v1};
use tokio::{task::JoinSet, time::timeout};

use crate::analysis::{
    query::{Variables, render},
    reader::SampleReader,
    sample::Answered,
};

/// Longest wait for all of them.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Queries that are asked; a plan with more has the others asked while it is pending.
const QUERIES_MAX: usize = 32;
/// How an answer begins that says of a query that it is none.
const BAD_DATA: &str = "http: HTTP 400";
/// Of a plan that writes none.
const INTERVAL: Duration = Duration::from_secs(10);

/// Faults of the queries of a plan, as the source tells them.
pub(super) async fn faults(
    source: &Arc<dyn SampleReader>,
    route: &v1::Route,
    plan: &v1::Rollout,
) -> Vec<Fault> {
    let queries = rendered(route, plan);
    if queries.is_empty() {
        return Vec::new();
    }
    // Late ones are asked again while it is pending.
    let asked = timeout(TIME_MAX, ask(source, queries)).await;
    asked.unwrap_or_default()
}

async fn ask(source: &Arc<dyn SampleReader>, queries: Vec<(usize, String)>) -> Vec<Fault> {
    let Ok(now) = source.now().await else {
        return Vec::new();
    };
    let mut asked = JoinSet::new();
    for (place, query) in queries {
        let source = Arc::clone(source);
        asked.spawn(async move { (place, source.scalar(&query, now).await) });
    }
    let answers = asked.join_all().await;
    let bad = answers
        .into_iter()
        .filter_map(|(place, answer)| match answer {
            Answered::Error(why) if why.starts_with(BAD_DATA) => Some((place, why)),
            _ => None,
        });
    let mut bad: Vec<(usize, String)> = bad.collect();
    bad.sort_unstable();
    let metrics = Pointer::root().key("analysis").key("metrics");
    let fault = |(place, why): (usize, String)| {
        Fault::new(&metrics.at(place).key("query"), "bad_query", why)
    };
    bad.into_iter().map(fault).collect()
}

/// Queries by their metric's place. One that cannot be filled in is a fault already.
fn rendered(route: &v1::Route, plan: &v1::Rollout) -> Vec<(usize, String)> {
    let Some(analysis) = &plan.analysis else {
        return Vec::new();
    };
    let none = BTreeMap::new();
    let weights = route
        .traffic
        .as_ref()
        .map_or(&none, |traffic| &traffic.weights);
    let weighted = weights.iter().filter(|(_, percent)| **percent > 0.0);
    let names = weighted.map(|(name, _)| name.as_str());
    let stable: Vec<&str> = names.filter(|name| *name != plan.candidate).collect();
    let of_plan = parse_duration(&analysis.interval).unwrap_or(INTERVAL);
    let own = analysis.variables.clone().into_iter().collect();
    let variables = Variables {
        route: &plan.route,
        candidate: &plan.candidate,
        stable: &stable,
        interval_ms: 0,
        rollout: "",
        own: &own,
    };
    let metrics = analysis.metrics.iter().enumerate();
    let queries = metrics.filter(|(_, metric)| !metric.query.is_empty());
    let filled = queries.filter_map(|(place, metric)| {
        let interval = parse_duration(&metric.interval).unwrap_or(of_plan);
        let variables = Variables {
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            ..variables
        };
        let query = render(&metric.query, &variables).ok()?;
        Some((place, query))
    });
    filled.take(QUERIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_is_asked_with_the_interval_of_its_metric() {
        let plan = serde_json::from_value(json!({
            "route": "chat", "candidate": "claude", "steps": [{"weight": 5}],
            "analysis": {"interval": "15s", "metrics": [
                {"name": "slow", "query": "a[{{ interval }}]", "interval": "60s", "thresholdRange": {"min": 1}},
                {"name": "plain", "query": "b[{{ interval }}]", "thresholdRange": {"min": 1}}]},
        }));
        let asked = rendered(&v1::Route::default(), &plan.unwrap());
        let expected = [(0, "a[60s]".to_owned()), (1, "b[15s]".to_owned())];
        assert_eq!(asked, expected);
    }
}
