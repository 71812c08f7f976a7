//! A route's traffic in one line, and the command that makes it so.

use crate::tree::Tree;

/// `gpt 95, claude 5; canary claude; fallback gpt, claude`
pub(crate) fn summary(traffic: &Tree) -> String {
    let weights = traffic.get("weights").map(Tree::fields).unwrap_or_default();
    let shown: Vec<String> = weights
        .iter()
        .filter(|(_, percent)| percent.number() != Some(0.0))
        .map(|(target, percent)| format!("{target} {percent}"))
        .collect();
    let mut text = shown.join(", ");
    for word in ["canary", "mirror"] {
        if let Some(target) = filled(traffic, word) {
            text += &format!("; {word} {target}");
        }
    }
    let fallback = fallback(traffic);
    if !fallback.is_empty() {
        text += &format!("; fallback {}", fallback.join(", "));
    }
    text
}

/// The `serin traffic` that turns `live` into `wanted`.
pub(crate) fn command(route: &str, live: &Tree, wanted: &Tree) -> String {
    let weights = |traffic: &Tree| {
        traffic
            .get("weights")
            .map(Tree::fields)
            .unwrap_or_default()
            .to_vec()
    };
    let mut set = weights(wanted);
    for (target, percent) in weights(live) {
        let is_named = set.iter().any(|(named, _)| *named == target);
        if !is_named && percent.number() != Some(0.0) {
            set.push((target, Tree::Number(0.into())));
        }
    }
    let set: Vec<String> = set
        .iter()
        .map(|(target, percent)| format!("{target}={percent}"))
        .collect();
    let mut text = format!("serin traffic {route} --set {}", set.join(","));
    let canary = filled(wanted, "canary");
    if canary != filled(live, "canary") {
        text += &format!(" --canary {}", quoted(canary.unwrap_or_default()));
    }
    let order = fallback(wanted);
    if order != fallback(live) {
        text += &format!(" --fallback {}", quoted(&order.join(",")));
    }
    text
}

fn filled<'a>(traffic: &'a Tree, field: &str) -> Option<&'a str> {
    traffic
        .get(field)
        .and_then(Tree::text)
        .filter(|text| !text.is_empty())
}

fn fallback(traffic: &Tree) -> Vec<&str> {
    let items = traffic.get("fallback").map(Tree::items).unwrap_or_default();
    items.iter().filter_map(Tree::text).collect()
}

fn quoted(text: &str) -> &str {
    if text.is_empty() { "''" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn traffic_is_told_in_one_line() {
        let traffic = tree(
            r#"{"weights":{"gpt":95.0,"claude":5.0,"old":0.0},"canary":"claude","fallback":["gpt","claude"]}"#,
        );
        assert_eq!(
            summary(&traffic),
            "gpt 95, claude 5; canary claude; fallback gpt, claude"
        );
        assert_eq!(summary(&tree(r#"{"weights":{"gpt":100}}"#)), "gpt 100");
        assert_eq!(summary(&Tree::Null), "");
    }

    #[test]
    fn the_command_makes_the_wanted_traffic() {
        let live = tree(r#"{"weights":{"gpt":90.0,"old":10.0},"canary":"old","fallback":["gpt"]}"#);
        let wanted = tree(r#"{"weights":{"gpt":95.0,"claude":5.0},"fallback":["gpt","claude"]}"#);
        assert_eq!(
            command("chat", &live, &wanted),
            "serin traffic chat --set gpt=95,claude=5,old=0 --canary '' --fallback gpt,claude"
        );
        assert_eq!(
            command("chat", &live, &live),
            "serin traffic chat --set gpt=90,old=10"
        );
        let none = tree(r#"{"weights":{"gpt":100},"canary":"old"}"#);
        assert_eq!(
            command("chat", &live, &none),
            "serin traffic chat --set gpt=100,old=0 --fallback ''"
        );
    }
}
