//! What the query API of Prometheus answers → values, or why they cannot be trusted.
//!
//! Only a whole success counts: an answer with warnings may have left out what some store behind it
//! did not say.

use serde::Deserialize;

use crate::analysis::{
    sample::{Answered, Millis, Trouble, Untold},
    series::{Labels, Series},
};

/// Most characters of somebody else's words that are passed on.
const WORDS_MAX: usize = 200;
const NAME: &str = "__name__";

#[derive(Debug, Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

/// A result by its type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Matrix(Vec<Row>),
    Vector(Vec<Point>),
    Scalar(Pair),
    String(Pair),
}

/// Seconds, and a number as text.
type Pair = (f64, String);

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Row {
    metric: Labels,
    #[serde(default)]
    values: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Point {
    /// None of a native histogram.
    value: Option<Pair>,
}

/// The result of a query.
///
/// # Errors
/// [`Trouble::Http`] for anything but a success, with the server's words; [`Trouble::Parse`] for
/// what is no answer at all; [`Trouble::Partial`] for warnings.
pub(super) fn data(status: u16, body: &[u8]) -> Result<Data, Untold> {
    let envelope: Option<Envelope> = serde_json::from_slice(body).ok();
    let is_success = (200..300).contains(&status);
    let Some(envelope) = envelope else {
        return Err(match is_success {
            true => untold(Trouble::Parse, "the answer is none of a query API"),
            false => untold(Trouble::Http, &format!("HTTP {status}")),
        });
    };
    if !is_success || envelope.status != "success" {
        let why = format!("HTTP {status}: {}", words(&envelope.error));
        return Err(untold(Trouble::Http, &why));
    }
    if let Some(warning) = envelope.warnings.first() {
        let why = format!("answered with a warning: {}", words(warning));
        return Err(untold(Trouble::Partial, &why));
    }
    let nothing = || untold(Trouble::Parse, "the answer holds no result");
    envelope.data.ok_or_else(nothing)
}

/// Whether these are the words of a query API, whatever they say.
pub(super) fn is_of_the_api(body: &[u8]) -> bool {
    serde_json::from_slice::<Envelope>(body).is_ok()
}

/// The samples of a range vector.
///
/// # Errors
/// [`Trouble::Parse`] for a result of another kind.
pub(super) fn series(data: Data) -> Result<Vec<Series>, Untold> {
    let Data::Matrix(rows) = data else {
        return Err(untold(Trouble::Parse, "the result is no range of samples"));
    };
    let of_row = |mut row: Row| {
        let values = row.values.iter();
        let samples: Option<Vec<(Millis, f64)>> = values
            .map(|(at, value)| Some((milliseconds(*at)?, value.parse().ok()?)))
            .collect();
        let bad = || untold(Trouble::Parse, "a sample is no number");
        Ok(Series {
            name: row.metric.remove(NAME).unwrap_or_default(),
            labels: row.metric,
            samples: samples.ok_or_else(bad)?,
        })
    };
    rows.into_iter().map(of_row).collect()
}

/// The result of `time()`.
///
/// # Errors
/// [`Trouble::Parse`]
pub(super) fn time(data: Data) -> Result<Millis, Untold> {
    let time = match data {
        Data::Scalar((_, value)) => value.parse().ok().and_then(milliseconds),
        _ => None,
    };
    time.ok_or_else(|| untold(Trouble::Parse, "the result is no time"))
}

/// The one number that a query of somebody's own must come to.
pub(super) fn scalar(data: Data) -> Answered {
    let error = |why: &str| Answered::Error(why.to_owned());
    let value = match data {
        Data::Scalar((_, value)) => value,
        Data::Vector(points) => match points.as_slice() {
            [] => return Answered::Nothing,
            [
                Point {
                    value: Some((_, value)),
                },
            ] => value.clone(),
            [_] => return error("the result is a histogram"),
            many => return error(&format!("{} series: it must be one", many.len())),
        },
        Data::Matrix(_) | Data::String(_) => return error("the result is no single value"),
    };
    match value.parse::<f64>() {
        Ok(value) if value.is_nan() => Answered::Nothing,
        Ok(value) if value.is_finite() => Answered::Value(value),
        Ok(value) => Answered::Error(format!("the value is {value}")),
        Err(_) => error("the value is no number"),
    }
}

fn milliseconds(seconds: f64) -> Option<Millis> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked: it is neither below 0 nor beyond the year 9999"
    )]
    let ms = |seconds: f64| (seconds * 1_000.0).round() as Millis;
    (0.0..253_402_300_800.0)
        .contains(&seconds)
        .then(|| ms(seconds))
}

fn words(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control());
    shown.take(WORDS_MAX).collect()
}

fn untold(trouble: Trouble, why: &str) -> Untold {
    Untold {
        trouble,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(answer: &serde_json::Value) -> Result<Data, Untold> {
        data(200, answer.to_string().as_bytes())
    }

    fn success(kind: &str, result: &serde_json::Value) -> Data {
        let data = json!({ "resultType": kind, "result": result });
        answered(&json!({ "status": "success", "data": data })).unwrap()
    }

    #[test]
    fn a_range_becomes_series() {
        let rows = json!([
            { "metric": { "__name__": "x", "instance": "a" }, "values": [[1_700_000_000.123, "3"], [1_700_000_001, "4.5"]] },
            { "metric": {}, "values": [] },
            { "metric": {}, "histograms": [] },
        ]);
        let series = series(success("matrix", &rows)).unwrap();
        assert_eq!(series.len(), 3);
        assert_eq!(
            series[0].samples,
            [(1_700_000_000_123, 3.0), (1_700_000_001_000, 4.5)]
        );
        assert_eq!((series[0].name.as_str(), series[0].labels.len()), ("x", 1));
        // Infinity and NaN are numbers here; whoever counts refuses them.
        let rows = json!([{ "metric": {}, "values": [[1, "NaN"], [2, "+Inf"], [3, "-Inf"]] }]);
        let all = super::series(success("matrix", &rows)).unwrap();
        assert!(all[0].samples.iter().all(|(_, value)| !value.is_finite()));
    }

    #[test]
    fn time_is_a_scalar_in_seconds() {
        assert_eq!(
            time(success("scalar", &json!([1, "1700000000.1239"]))),
            Ok(1_700_000_000_124)
        );
        for (kind, result) in [
            ("scalar", json!([1, "x"])),
            ("scalar", json!([1, "-1"])),
            ("vector", json!([])),
        ] {
            assert_eq!(
                time(success(kind, &result)).unwrap_err().trouble,
                Trouble::Parse
            );
        }
    }

    #[test]
    fn one_finite_number_is_a_value_and_nothing_else_passes() {
        let vector = |values: &[&str]| {
            let points: Vec<_> = values
                .iter()
                .map(|v| json!({ "metric": {}, "value": [1, v] }))
                .collect();
            scalar(success("vector", &json!(points)))
        };
        assert_eq!(vector(&["0.5"]), Answered::Value(0.5));
        assert_eq!(
            scalar(success("scalar", &json!([1, "2"]))),
            Answered::Value(2.0)
        );
        assert_eq!(vector(&[]), Answered::Nothing);
        assert_eq!(vector(&["NaN"]), Answered::Nothing);
        let errors = [
            vector(&["+Inf"]),
            vector(&["-Inf"]),
            vector(&["1", "1"]),
            vector(&["x"]),
            scalar(success(
                "vector",
                &json!([{ "metric": {}, "histogram": [1, {}] }]),
            )),
            scalar(success("matrix", &json!([]))),
            scalar(success("string", &json!([1, "2"]))),
        ];
        for error in errors {
            assert!(
                matches!(&error, Answered::Error(why) if !why.is_empty()),
                "{error:?}"
            );
        }
    }

    #[rustfmt::skip]
    #[test]
    fn what_is_no_whole_success_is_a_trouble() {
        let bad = r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#;
        let table = [
            (400, bad,                                                                   Trouble::Http,    "HTTP 400: parse error"),
            (200, bad,                                                                   Trouble::Http,    "parse error"),
            (500, "oh no",                                                               Trouble::Http,    "HTTP 500"),
            (503, r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,  Trouble::Http,    "HTTP 503"),
            (302, "",                                                                    Trouble::Http,    "HTTP 302"),
            (200, "",                                                                    Trouble::Parse,   "none of a query API"),
            (200, "{}",                                                                  Trouble::Parse,   "none of a query API"),
            (200, r#"{"status":"success"}"#,                                             Trouble::Parse,   "no result"),
            (200, r#"{"status":"success","data":{"resultType":"x","result":[]}}"#,       Trouble::Parse,   "none of a query API"),
            (200, r#"{"status":"success","warnings":["a store\nis away"],"data":{"resultType":"vector","result":[]}}"#,
                                                                                         Trouble::Partial, "warning: a storeis away"),
        ];
        for (status, body, trouble, why) in table {
            let told = data(status, body.as_bytes()).unwrap_err();
            assert_eq!(told.trouble, trouble, "{body}");
            assert!(told.why.contains(why), "{}: {body}", told.why);
        }
        // What Prometheus 3 tells for information is no warning.
        let infos = json!({ "status": "success", "infos": ["a"], "data": { "resultType": "vector", "result": [] } });
        assert!(answered(&infos).is_ok());
        let long = json!({ "status": "error", "error": "x".repeat(1_000) });
        assert!(answered(&long).unwrap_err().why.len() < 2 * WORDS_MAX);
    }
}
