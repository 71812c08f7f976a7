//! The query API: what is asked, what is answered, and what goes wrong on order.

use std::fmt::Write as _;

use super::Inside;
use super::promql::{Selector, selector};
use super::series::Series;
use crate::scripted_http::{Asked, Reply};

/// How far an instant vector looks back.
const LOOK_BACK_MS: u64 = 300_000;

/// How all of it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens. For all queries only.
    Refuses,
    /// The connection ends without an answer.
    Cuts,
    Status(u16),
    /// No answer, ever.
    Hangs,
    /// `200` with `status: error`
    SaysError,
    /// `200` with warnings beside its data.
    Warns,
}

/// An answer to a query of somebody's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// One series. NaN and the infinities are values.
    Value(f64),
    Nothing,
    Two(f64, f64),
    /// `200` with `status: error`
    Error,
    /// One series, and a warning.
    Warned(f64),
    Status(u16),
    Never,
}

const REFUSED: &str =
    r#"{"status":"error","errorType":"execution","error":"it was told to say so"}"#;

impl Inside {
    pub(super) fn answer(&self, asked: &Asked) -> Reply {
        if asked.path != "/api/v1/query" {
            return Reply::Says(404, "{}".to_owned());
        }
        let form = asked.form();
        let field = |name: &str| {
            let found = form.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let query = field("query");
        let selector = selector(&query);
        let fault = {
            let mut script = self.script();
            script.answered += 1;
            let route = selector.as_ref().and_then(|s| s.only("route"));
            let of_route = route.and_then(|route| script.of_routes.get(route));
            of_route.copied().or(script.fault)
        };
        match fault {
            Some(Fault::Refuses | Fault::Cuts) => return Reply::Cut,
            Some(Fault::Hangs) => return Reply::Never,
            Some(Fault::Status(status)) => return Reply::Says(status, "{}".to_owned()),
            Some(Fault::SaysError) => return Reply::Says(200, REFUSED.to_owned()),
            Some(Fault::Warns) | None => {}
        }
        let at = self.moment(&field("time"));
        let said = self.script().said.get(&query).copied();
        if let Some(said) = said {
            return told(said, at);
        }
        let data = match selector {
            _ if query.trim() == "time()" => {
                let now = seconds(at);
                format!(r#"{{"resultType":"scalar","result":[{now},"{now}"]}}"#)
            }
            Some(selector) => self.vector(&selector, at),
            None => {
                self.script().not_understood.push(query);
                let body = REFUSED.replace("execution", "bad_data");
                return Reply::Says(400, body);
            }
        };
        success(&data, fault == Some(Fault::Warns))
    }

    fn moment(&self, time: &str) -> u64 {
        let model = self.model();
        let asked: Option<f64> = time.parse().ok();
        asked.map_or_else(|| model.shown(model.now), |s| (s * 1e3).round() as u64)
    }

    fn vector(&self, selector: &Selector, at: u64) -> String {
        let is_pair = self.script().is_pair;
        let model = self.model();
        let replicas: &[Option<&str>] = match is_pair {
            true => &[Some("a"), Some("b")],
            false => &[None],
        };
        let mut items = Vec::new();
        let series = model.select(selector);
        for (series, replica) in series
            .iter()
            .flat_map(|s| replicas.iter().map(move |r| (s, r)))
        {
            let item = match selector.range_ms {
                Some(range) => of_range(series, *replica, (at.saturating_sub(range), at)),
                None => of_instant(series, *replica, at),
            };
            items.extend(item);
        }
        let kind = if selector.range_ms.is_some() {
            "matrix"
        } else {
            "vector"
        };
        format!(
            r#"{{"resultType":"{kind}","result":[{}]}}"#,
            items.join(",")
        )
    }
}

fn success(data: &str, warns: bool) -> Reply {
    let warnings = if warns {
        r#","warnings":["it was told to warn"]"#
    } else {
        ""
    };
    Reply::Says(
        200,
        format!(r#"{{"status":"success","data":{data}{warnings}}}"#),
    )
}

fn told(said: Said, at: u64) -> Reply {
    let one = |value: f64, label: &str| {
        let value = number(value);
        format!(
            r#"{{"metric":{{"part":"{label}"}},"value":[{},"{value}"]}}"#,
            seconds(at)
        )
    };
    let vector = |items: &[String]| {
        format!(
            r#"{{"resultType":"vector","result":[{}]}}"#,
            items.join(",")
        )
    };
    match said {
        Said::Value(value) => success(&vector(&[one(value, "a")]), false),
        Said::Warned(value) => success(&vector(&[one(value, "a")]), true),
        Said::Two(a, b) => success(&vector(&[one(a, "a"), one(b, "b")]), false),
        Said::Nothing => success(&vector(&[]), false),
        Said::Error => Reply::Says(200, REFUSED.to_owned()),
        Said::Status(status) => Reply::Says(status, "{}".to_owned()),
        Said::Never => Reply::Never,
    }
}

fn of_range(series: &Series, replica: Option<&str>, (after, until): (u64, u64)) -> Option<String> {
    let mut values = String::new();
    for (at, value) in series.between(after, until) {
        let comma = if values.is_empty() { "" } else { "," };
        let _ = write!(values, "{comma}[{},\"{}\"]", seconds(at), number(value));
    }
    let labels = labels(series, replica);
    (!values.is_empty()).then(|| format!(r#"{{"metric":{labels},"values":[{values}]}}"#))
}

fn of_instant(series: &Series, replica: Option<&str>, at: u64) -> Option<String> {
    let (sample, value) = series.between(at.saturating_sub(LOOK_BACK_MS), at).last()?;
    let _ = sample;
    let (labels, value) = (labels(series, replica), number(value));
    Some(format!(
        r#"{{"metric":{labels},"value":[{},"{value}"]}}"#,
        seconds(at)
    ))
}

/// Names and values are from configuration: nothing in them needs escaping.
fn labels(series: &Series, replica: Option<&str>) -> String {
    let own = series
        .labels
        .iter()
        .map(|(name, value)| (*name, value.as_str()));
    let outer = replica.map(|replica| ("prometheus_replica", replica));
    let pairs = own
        .chain(outer)
        .map(|(name, value)| format!(r#""{name}":"{value}""#));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

fn seconds(at: u64) -> String {
    format!("{}.{:03}", at / 1_000, at % 1_000)
}

/// As Go prints it.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
