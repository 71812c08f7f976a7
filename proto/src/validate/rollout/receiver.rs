//! Who a rollout asks and tells: webhooks and alerts.
//!
//! The control plane sends to these URLs from inside the network, so literal addresses that are
//! never anybody's receiver (link-local, a cloud's metadata) are refused, in every spelling, as for
//! providers. Private ones are usual here and allowed.

use std::net::IpAddr;

use super::listed;
use crate::{
    address::{Networks, Refusal},
    base_url::{BadUrl, BaseUrl, Host},
    fault::Pointer,
    v1,
    validate::{Findings, provider},
};

const WEBHOOK_TYPES: [&str; 8] = [
    "confirm-rollout",
    "pre-rollout",
    "rollout",
    "confirm-traffic-increase",
    "confirm-promotion",
    "rollback",
    "post-rollout",
    "event",
];
/// Tries after the first, within one tick's question.
const RETRIES_MAX: f64 = 10.0;

pub(super) fn check_webhooks(webhooks: &[v1::Webhook], at: &Pointer, findings: &mut Findings) {
    listed(at, webhooks.iter().map(|w| w.name.as_str()), findings);
    for (i, webhook) in webhooks.iter().enumerate() {
        let at = at.at(i);
        findings.name(&at.key("name"), &webhook.name);
        findings.required(&at.key("type"), &webhook.r#type);
        findings.word(&at.key("type"), &webhook.r#type, &WEBHOOK_TYPES);
        if findings.required(&at.key("url"), &webhook.url) {
            url(&webhook.url, &at.key("url"), findings);
        }
        findings.duration(&at.key("timeout"), &webhook.timeout);
        let retries = webhook.retries.map(f64::from);
        findings.range(&at.key("retries"), retries, 0.0..=RETRIES_MAX);
    }
}

pub(super) fn check_alerts(alerts: &[v1::Alert], at: &Pointer, findings: &mut Findings) {
    listed(at, alerts.iter().map(|a| a.name.as_str()), findings);
    for (i, alert) in alerts.iter().enumerate() {
        let at = at.at(i);
        findings.name(&at.key("name"), &alert.name);
        findings.word(&at.key("type"), &alert.r#type, &["slack", "generic"]);
        let severities = ["info", "warn", "error"];
        findings.word(&at.key("severity"), &alert.severity, &severities);
        let written = [&alert.url, &alert.url_env, &alert.url_file];
        match written.iter().filter(|text| !text.is_empty()).count() {
            1 => {}
            0 => findings.fault(&at, "missing", "has no url: write url, urlEnv or urlFile"),
            _ => {
                let message = "has several of url, urlEnv and urlFile: keep one of them";
                findings.fault(&at, "bad_url", message);
            }
        }
        if !alert.url.is_empty() {
            url(&alert.url, &at.key("url"), findings);
            if alert.r#type == "slack" {
                let message = "a chat's URL is a secret, and plans are read by every viewer: \
                               write urlEnv or urlFile";
                findings.fault(&at.key("url"), "secret_in_plan", message);
            }
        }
        provider::variable(&alert.url_env, &at.key("urlEnv"), findings);
    }
}

/// The text may be a secret (a chat's URL), so no message repeats it.
fn url(text: &str, at: &Pointer, findings: &mut Findings) {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic());
    let parsed = BaseUrl::parse(text.get(..end).unwrap_or(text));
    let forbidden = match &parsed {
        Ok(BaseUrl {
            host: Host::Address(address),
            ..
        })
        | Err(BadUrl::Spelling(address)) => never(*address),
        Ok(BaseUrl {
            host: Host::Name(name),
            ..
        }) if provider::METADATA_NAMES.contains(&name.as_str()) => {
            Some("a cloud's metadata service")
        }
        _ => None,
    };
    if let Some(what) = forbidden {
        let message = format!("is {what}: never asked or told by a rollout");
        return findings.fault(at, "forbidden_address", message);
    }
    let message = match parsed {
        Ok(_) if is_plain => return,
        Ok(_) => "has characters that must be percent-encoded".to_owned(),
        Err(BadUrl::UserInfo) => {
            "names a user or a password: a URL is no place for them".to_owned()
        }
        Err(BadUrl::Zone) => {
            "has a zone in its address: link-local addresses are never allowed".to_owned()
        }
        Err(bad) => bad.to_string(),
    };
    findings.fault(at, "bad_url", message);
}

fn never(address: IpAddr) -> Option<&'static str> {
    match Networks::default().permits(address) {
        Err(Refusal::Never(_, what)) => Some(what),
        _ => None,
    }
}
