//! What chats and other receivers of alerts are sent.
//!
//! A chat's address is a secret: it may be read from the environment or a file of the control plane
//! at the moment of delivery, and is never logged nor stored.

use std::{collections::BTreeMap, fs};

use bytes::Bytes;
use serde_json::json;

use super::{
    event::Message,
    plan::{AlertFormat, AlertUrl, Severity},
    webhook::{NAMESPACE, standing},
};

/// Largest file that may hold an address, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The body of an alert about a route's rollout.
pub(super) fn body(format: AlertFormat, route: &str, message: &Message) -> Bytes {
    let severity = severity(message.severity);
    let at = &message.at;
    let body = match format {
        AlertFormat::Slack => {
            let field =
                |title: &str, value: String| json!({"title": title, "value": value, "short": true});
            json!({
                "text": format!("{route}: {}", message.text),
                "attachments": [{
                    "color": colour(message.severity),
                    "author_name": format!("{route}.{NAMESPACE}"),
                    "text": message.text,
                    "mrkdwn_in": ["text"],
                    "fields": [
                        field("Rollout", at.rollout_id.clone()),
                        field("Phase", at.phase.clone()),
                        field("Weight", format!("{} %", at.weight)),
                        field("Verdict", at.verdict.clone()),
                    ],
                }],
            })
        }
        AlertFormat::Generic => json!({
            "name": route,
            "namespace": NAMESPACE,
            "phase": message.phase,
            "severity": severity,
            "message": message.text,
            "metadata": BTreeMap::from([("checksum", &at.checksum)]),
            "serin": standing(at),
        }),
    };
    Bytes::from(body.to_string())
}

/// The address, read now.
///
/// # Errors
/// Why there is none, without what was read.
#[expect(
    clippy::disallowed_methods,
    reason = "a named secret is read where it is used and nowhere kept"
)]
pub(super) fn url(url: &AlertUrl) -> Result<String, String> {
    let read = match url {
        AlertUrl::Written(url) => url.clone(),
        AlertUrl::Env(name) => {
            std::env::var(name).map_err(|_| format!("environment variable {name} is not set"))?
        }
        AlertUrl::File(path) => {
            let unread = |error: std::io::Error| format!("file {path}: {error}");
            let file = fs::metadata(path).map_err(unread)?;
            // A pipe would wait for ever, a device give for ever.
            if !file.is_file() || file.len() > FILE_BYTES_MAX {
                return Err(format!(
                    "file {path} is no plain file of at most {FILE_BYTES_MAX} bytes"
                ));
            }
            fs::read_to_string(path).map_err(unread)?
        }
    };
    Ok(read.trim().to_owned())
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Error => "error",
    }
}

/// A chat's words for severities.
fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "good",
        Severity::Warn => "warning",
        Severity::Error => "danger",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::Value as Json;

    use super::*;
    use crate::rollout::event::{Receiver, Standing};

    fn message() -> Message {
        Message {
            to: Receiver::Alert,
            name: "on-call".to_owned(),
            severity: Severity::Error,
            text: "rolled back: errors 12 of 80".to_owned(),
            phase: "Failed".to_owned(),
            at: Standing {
                rollout_id: "7f3a09c2b1d4".to_owned(),
                seq: 9,
                weight: 0.0,
                phase: "Failed".to_owned(),
                verdict: "fail".to_owned(),
                checksum: "c3d4-aabb".to_owned(),
                ..Standing::default()
            },
        }
    }

    #[test]
    fn a_chat_is_told_in_its_form_and_others_in_ours() {
        let slack = body(AlertFormat::Slack, "chat", &message());
        let slack: Json = serde_json::from_slice(&slack).unwrap();
        assert_eq!(slack["text"], "chat: rolled back: errors 12 of 80");
        assert_eq!(slack["attachments"][0]["color"], "danger");
        let generic = body(AlertFormat::Generic, "chat", &message());
        let generic: Json = serde_json::from_slice(&generic).unwrap();
        for (pointer, expected) in [
            ("/name", "chat"),
            ("/namespace", "serin"),
            ("/phase", "Failed"),
            ("/severity", "error"),
            ("/message", "rolled back: errors 12 of 80"),
            ("/serin/rolloutId", "7f3a09c2b1d4"),
        ] {
            assert_eq!(generic.pointer(pointer).unwrap(), expected, "{pointer}");
        }
    }

    #[test]
    fn an_address_is_read_when_it_is_needed_and_its_absence_is_told_without_it() {
        let mut file = std::env::temp_dir();
        file.push(format!("serin-alert-{}", std::process::id()));
        let path = file.to_string_lossy().into_owned();
        let mut open = fs::File::create(&file).unwrap();
        writeln!(open, "https://hooks.example/secret").unwrap();
        drop(open);
        let table = [
            (AlertUrl::Written("http://a/".to_owned()), Ok("http://a/")),
            (
                AlertUrl::File(path.clone()),
                Ok("https://hooks.example/secret"),
            ),
            (
                AlertUrl::Env("SERIN_NO_SUCH_NAME".to_owned()),
                Err("environment variable SERIN_NO_SUCH_NAME is not set"),
            ),
        ];
        for (from, expected) in table {
            let read = url(&from);
            let read = read.as_deref().map_err(String::as_str);
            assert_eq!(read, expected, "{from:?}");
        }
        fs::remove_file(&file).unwrap();
        assert!(url(&AlertUrl::File(path)).is_err());
    }
}
