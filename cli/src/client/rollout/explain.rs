//! `serin rollout explain`: the evidence as the control plane has it, metric by metric.

use super::{
    find,
    words::{by_hand, number, percent, place_timed, text, verdict, what},
};
use crate::{
    args::{remote::Form, rollout::Look},
    client::Api,
    exit::Failed,
    output,
    tree::Tree,
};

/// Largest exponent that a double takes.
const LOG_MAX: f64 = 700.0;

pub(super) async fn explain(look: &Look) -> Result<(), Failed> {
    let api = Api::new(&look.answer.server)?;
    let id = find(&api, &look.which).await?;
    let path = format!("/rollouts/{id}/analysis");
    let analysis = api.get(&path).await?.tree()?;
    output::print(&match look.answer.output {
        Form::Json => output::json(&analysis)?,
        Form::Yaml => output::yaml(&analysis)?,
        Form::Table => explained(&analysis),
    })
}

fn explained(analysis: &Tree) -> String {
    let mut lines = vec![head(analysis)];
    lines.extend(labelled("verdict", &verdict(analysis)));
    let rows: Vec<[String; 7]> = metrics(analysis)
        .iter()
        .map(row)
        .chain(total(analysis))
        .collect();
    let columns = [
        "metric",
        "canary",
        "",
        "stable",
        "",
        "harm (E of limit)",
        "mode",
    ];
    if !rows.is_empty() {
        lines.push(output::table(columns, &rows).trim_end().to_owned());
    }
    lines.extend(labelled("guards", &text(analysis, "guards/text")));
    lines.extend(labelled("by hand", &by_hand(analysis)));
    lines.extend(labelled("next", &next(analysis)));
    lines.extend(labelled("possible", &legal(analysis)));
    lines.join("\n") + "\n"
}

/// `chat → claude (c3d4e5f60718)   rollout 7f3a09c2b1d4, seq 17   Progressing, step 2 of 4, …`
pub(super) fn head(analysis: &Tree) -> String {
    let [hash, id, seq] = ["candidate/hash", "rolloutId", "seq"].map(|path| text(analysis, path));
    format!(
        "{} ({hash})   rollout {id}, seq {seq}   {}",
        what(analysis),
        place_timed(analysis)
    )
}

/// What is waited for, and the command that helps.
pub(super) fn next(analysis: &Tree) -> String {
    let [next, command] = ["next/text", "next/command"].map(|path| text(analysis, path));
    if command.is_empty() {
        next
    } else {
        format!("{next} → {command}")
    }
}

/// The verbs that may be used now.
pub(super) fn legal(analysis: &Tree) -> String {
    let verbs = analysis.get("legal").map(Tree::items).unwrap_or_default();
    let verbs: Vec<String> = verbs.iter().map(Tree::to_string).collect();
    verbs.join(", ")
}

pub(super) fn metrics(analysis: &Tree) -> &[Tree] {
    analysis.get("metrics").map(Tree::items).unwrap_or_default()
}

fn row(metric: &Tree) -> [String; 7] {
    let [canary, rate] = arm(metric, "canary");
    let [stable, stable_rate] = arm(metric, "stable");
    let mode = [text(metric, "mode"), allowed(metric), certificate(metric)]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    [
        title(metric),
        canary,
        rate,
        stable,
        stable_rate,
        harm(metric),
        mode,
    ]
}

fn total(analysis: &Tree) -> Option<[String; 7]> {
    let total = analysis
        .get("total")
        .filter(|total| **total != Tree::Null)?;
    let nothing = String::new;
    Some([
        "total".to_owned(),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
        harm(total),
        text(total, "text"),
    ])
}

pub(super) fn title(metric: &Tree) -> String {
    let title = text(metric, "title");
    if title.is_empty() {
        text(metric, "name")
    } else {
        title
    }
}

/// `2/164` and `1.22 %`; a mean or a value alone.
pub(super) fn arm(metric: &Tree, arm: &str) -> [String; 2] {
    let at = |field: &str| number(metric, &format!("{arm}/{field}"));
    let counts = match (at("e"), at("n")) {
        (Some(events), Some(samples)) => format!("{events}/{samples}"),
        _ => String::new(),
    };
    let figure = match (at("rate"), at("mean"), at("value")) {
        (Some(rate), ..) => format!("{:.2} %", rate * 100.0),
        (_, Some(mean), _) if text(metric, "name") == "cost" => format!("${}/req", money(mean)),
        (_, Some(mean), _) => short(mean),
        (.., Some(value)) => short(value),
        _ => String::new(),
    };
    [counts, figure]
}

/// `0.4 of 167`; of a query its failed checks.
pub(super) fn harm(metric: &Tree) -> String {
    if let (Some(failed), Some(limit)) = (number(metric, "failed"), number(metric, "failureLimit"))
    {
        return format!("failed {failed} of {limit}");
    }
    let evidence = figure(metric, "evidence", "logEvidence");
    let limit = figure(metric, "limit", "logThreshold");
    match (evidence, limit) {
        (Some(evidence), Some(limit)) => format!("{} of {}", short(evidence), short(limit)),
        _ => String::new(),
    }
}

/// `not worse: 3.3 of 20`
fn certificate(metric: &Tree) -> String {
    let log = |field| number(metric, field).map(|log| short(log.min(LOG_MAX).exp()));
    match (log("logCertificate"), log("logCertificateThreshold")) {
        (Some(proof), Some(wanted)) => format!("not worse: {proof} of {wanted}"),
        _ => String::new(),
    }
}

fn figure(metric: &Tree, plain: &str, log: &str) -> Option<f64> {
    number(metric, plain).or_else(|| number(metric, log).map(|log| log.min(LOG_MAX).exp()))
}

/// Few digits: `0.4`, `167`, `1.2e9`.
fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 1e6 => format!("{figure:.1e}"),
        size if size >= 10.0 => format!("{figure:.0}"),
        size if size == 0.0 || size >= 0.05 => {
            let text = format!("{figure:.1}");
            text
        }
        _ => percent_like(figure),
    }
}

/// Small figures without a row of zeros.
fn percent_like(figure: f64) -> String {
    if figure.abs() >= 0.005 {
        percent(Some(figure))
    } else {
        format!("{figure:.1e}")
    }
}

/// Dollars of one request, which may be millionths: `0.0121`, `0.000016`.
fn money(dollars: f64) -> String {
    if dollars == 0.0 || !dollars.is_finite() {
        return "0".to_owned();
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a logarithm of a double is small"
    )]
    let before_point = dollars.abs().log10().floor() as i32;
    // Three digits that mean something, and cents at least.
    let digits = usize::try_from(2 - before_point).unwrap_or_default();
    let text = format!("{dollars:.*}", digits.clamp(2, 15));
    let shown = text.trim_end_matches('0');
    let cents = text.find('.').map_or(0, |point| point + 3);
    text[..shown.len().max(cents)].to_owned()
}

/// What a metric allows: `≤ stable + 0.5 points`; of a mean `ratio 1.24 of 1.25`.
fn allowed(metric: &Tree) -> String {
    let rule = text(metric, "text");
    let mean = |arm| number(metric, &format!("{arm}/mean"));
    match (mean("canary"), mean("stable"), number(metric, "allowed")) {
        (Some(canary), Some(stable), Some(limit)) if stable > 0.0 => {
            format!("ratio {:.2} of {limit}", canary / stable)
        }
        _ => rule,
    }
}

fn labelled(label: &str, text: &str) -> Option<String> {
    (!text.is_empty()).then(|| format!("{label:<9} {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::rollout::tests::analysis;

    #[test]
    fn the_evidence_is_told_metric_by_metric() {
        let told = explained(&analysis());
        let plain = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = told.lines().map(plain).collect();
        assert_eq!(
            lines,
            [
                "chat → claude (c3d4e5f60718) rollout 7f3a09c2b1d4, seq 17 Progressing, step 2 of 4, \
                 share 5 %, Analysing for 2m50s",
                "verdict inconclusive: errors has 164 of 300 canary samples; at 1.1/s enough in 2m4s",
                "metric canary stable harm (E of limit) mode",
                "errors 2/164 1.22 % 29/3102 0.93 % 0.4 of 167 enforce, ≤ stable + 0.5 points, not worse: 3.3 of 20",
                "ttft > 3 s 11/162 6.79 % 148/3073 4.82 % 0.6 of 500 enforce, ≤ 2 × stable + 5 points",
                "cost $0.0121/req $0.0098/req 1.0 of 100 pauseOnly, ratio 1.24 of 1.25",
                "judge-score 0.9 failed 1 of 3 pauseOnly, ≥ 0.8",
                "total 0.5 of 100 rolls back at 100",
                "guards breaker closed on 3/3",
                "next 25 % when: 300 samples, 2m10s more, gate closed → serin rollout gate chat go-on --open",
                "possible pause, promote, abort, skip-step",
            ],
            "{told}"
        );
    }

    #[rustfmt::skip]
    #[test]
    fn money_has_three_digits_that_mean_something() {
        let table = [
            (0.0, "0"), (0.0121, "0.0121"), (0.000_016_04, "0.000016"), (0.000_016_349, "0.0000163"),
            (1.5, "1.50"), (12.0, "12.00"), (1234.56, "1234.56"), (f64::NAN, "0"),
        ];
        for (dollars, shown) in table {
            assert_eq!(money(dollars), shown);
        }
    }

    #[rustfmt::skip]
    #[test]
    fn figures_are_short_whatever_their_size() {
        let table = [
            (0.0, "0.0"), (0.4, "0.4"), (9.96, "10.0"), (167.2, "167"), (1.2e9, "1.2e9"),
            (0.01, "0.01"), (1e-9, "1.0e-9"), (1e300, "1.0e300"),
        ];
        for (figure, shown) in table {
            assert_eq!(short(figure), shown);
        }
    }
}
