//! `serin key`: credentials of applications. A key has up to two live secrets, so that it can be
//! rotated without a gap: make the second, hand it out, end the first.

use std::time::Duration;

use awc::http::{
    Method, StatusCode,
    header::{IF_MATCH, IF_NONE_MATCH},
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Api, Call, api::Answer};
use crate::{
    args::remote::{KeyCreate, KeyRevoke, KeyRotate},
    clock,
    exit::Failed,
    output,
    secret::{self, KEY_PREFIX},
};

/// Secrets of one key that may be live at once.
const LIVE_MAX: usize = 2;
/// Digits of a digest that are told.
const SHOWN_DIGITS: usize = 8;

/// Prints the secret alone on stdout.
pub(crate) async fn create(create: &KeyCreate) -> Result<(), Failed> {
    let api = Api::new(&create.server)?;
    let made = secret::make(KEY_PREFIX, &create.name)?;
    let mut secret = json!({"sha256": made.sha256});
    if let Some(span) = create.expires {
        secret["expiresAt"] = moment(span, clock::now(), "--expires")?.into();
    }
    let mut body = json!({"name": create.name, "secrets": [secret], "routes": create.routes});
    if let Some(tier) = &create.tier {
        body["tier"] = tier.as_str().into();
    }
    let path = format!("/keys/{}", create.name);
    let call = Call::new(Method::PUT, &path)
        .header(IF_NONE_MATCH, "*")
        .json(body.to_string());
    match api.call(&call).await {
        Ok(_) => {
            output::note(format_args!(
                "key {} created; its secret is shown this once:",
                create.name
            ));
            output::print(&made.secret)
        }
        Err(refused) if refused.status() == Some(StatusCode::PRECONDITION_FAILED) => {
            let name = &create.name;
            let message =
                format!("key {name} exists: serin key rotate {name} makes a second secret");
            Err(Failed::Conflict(message))
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Prints the new secret alone on stdout.
pub(crate) async fn rotate(rotate: &KeyRotate) -> Result<(), Failed> {
    let api = Api::new(&rotate.server)?;
    let (mut key, answer) = read(&api, &rotate.name).await?;
    let made = secret::make(KEY_PREFIX, &rotate.name)?;
    let kept = rotated(&mut key, &made.sha256, rotate.keep, clock::now())?;
    write(&api, &rotate.name, &key, &answer).await?;
    for old in &kept {
        match rotate.keep {
            Some(_) => output::note(format_args!(
                "the old secret {} ends {}",
                old.shown, old.ends
            )),
            None => output::note(format_args!(
                "the old secret goes on; once nobody uses it: serin key revoke {} --secret {}",
                rotate.name, old.shown
            )),
        }
    }
    output::note(format_args!(
        "key {} has a new secret, shown this once:",
        rotate.name
    ));
    output::print(&made.secret)
}

/// Ends a secret, or disables the key.
pub(crate) async fn revoke(revoke: &KeyRevoke) -> Result<(), Failed> {
    let api = Api::new(&revoke.server)?;
    let (mut key, answer) = read(&api, &revoke.name).await?;
    match &revoke.secret {
        None => key["disabled"] = true.into(),
        Some(prefix) => end_secret(&mut key, &revoke.name, prefix)?,
    }
    write(&api, &revoke.name, &key, &answer).await?;
    match &revoke.secret {
        None => output::note(format_args!("key {} is disabled", revoke.name)),
        Some(prefix) => output::note(format_args!(
            "secret {prefix} of key {} is gone",
            revoke.name
        )),
    }
    Ok(())
}

async fn read(api: &Api, name: &str) -> Result<(Value, Answer), Failed> {
    let answer = api.get(&format!("/keys/{name}")).await?;
    let key = serde_json::from_slice(&answer.body)
        .map_err(|error| Failed::because(format!("the answer is not JSON: {error}")))?;
    Ok((key, answer))
}

/// Writes it back if nobody changed it since `read`.
async fn write(api: &Api, name: &str, key: &Value, read: &Answer) -> Result<(), Failed> {
    let path = format!("/keys/{name}");
    let call = Call::new(Method::PUT, &path)
        .header(IF_MATCH, read.etag.as_deref().unwrap_or("*"))
        .json(key.to_string());
    api.call(&call).await?;
    Ok(())
}

/// A secret that goes on beside the new one.
#[derive(Debug, PartialEq, Eq)]
struct Old {
    shown: String,
    ends: String,
}

/// Adds a digest. Secrets that have ended go; the live one ends after `keep`, if that is given.
fn rotated(
    key: &mut Value,
    sha256: &str,
    keep: Option<Duration>,
    now: OffsetDateTime,
) -> Result<Vec<Old>, Failed> {
    let secrets = key["secrets"].as_array().cloned().unwrap_or_default();
    let mut live: Vec<Value> = secrets
        .into_iter()
        .filter(|secret| is_live(secret, now))
        .collect();
    if live.len() >= LIVE_MAX {
        let shown: Vec<String> = live.iter().map(shown).collect();
        let name = key["name"].as_str().unwrap_or_default();
        return Err(Failed::because(format!(
            "key {name} has {} live secrets already: end one first with serin key revoke {name} \
             --secret {}",
            live.len(),
            shown.join(" or ")
        )));
    }
    if let Some(keep) = keep {
        let ends = moment(keep, now, "--keep")?;
        for secret in &mut live {
            let sooner = expiry(secret).is_some_and(|at| at <= now + keep);
            if !sooner {
                secret["expiresAt"] = ends.as_str().into();
            }
        }
    }
    let old = live.iter().map(|secret| Old {
        shown: shown(secret),
        ends: secret["expiresAt"].as_str().unwrap_or("never").to_owned(),
    });
    let old = old.collect();
    live.push(json!({"sha256": sha256}));
    key["secrets"] = live.into();
    Ok(old)
}

fn end_secret(key: &mut Value, name: &str, prefix: &str) -> Result<(), Failed> {
    let prefix = prefix.to_ascii_lowercase();
    let secrets = key["secrets"].as_array().cloned().unwrap_or_default();
    let is_meant = |secret: &Value| {
        let digest = secret["sha256"].as_str().unwrap_or_default();
        !prefix.is_empty() && digest.to_ascii_lowercase().starts_with(&prefix)
    };
    match secrets.iter().filter(|secret| is_meant(secret)).count() {
        0 => {
            let message = format!("key {name} has no secret whose SHA-256 begins with {prefix:?}");
            return Err(Failed::NotFound(message));
        }
        1 => {}
        count => {
            let message =
                format!("{count} secrets of key {name} begin with {prefix:?}: write more");
            return Err(Failed::Usage(message));
        }
    }
    key["secrets"] = secrets
        .into_iter()
        .filter(|secret| !is_meant(secret))
        .collect();
    Ok(())
}

fn is_live(secret: &Value, now: OffsetDateTime) -> bool {
    let has_end = secret["expiresAt"]
        .as_str()
        .is_some_and(|text| !text.is_empty());
    !has_end || expiry(secret).is_some_and(|at| at > now)
}

fn expiry(secret: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(secret["expiresAt"].as_str()?, &Rfc3339).ok()
}

fn shown(secret: &Value) -> String {
    let digest = secret["sha256"].as_str().unwrap_or_default();
    digest.chars().take(SHOWN_DIGITS).collect()
}

fn moment(span: Duration, now: OffsetDateTime, flag: &str) -> Result<String, Failed> {
    clock::after(now, span).ok_or_else(|| Failed::Usage(format!("{flag} is too long")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::scripted;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn key(secrets: Value) -> Value {
        json!({"name": "web", "secrets": secrets, "routes": ["*"], "unknown": 1})
    }

    #[test]
    fn a_rotated_key_keeps_its_live_secret_and_drops_those_that_ended() {
        let mut rotated_key = key(json!([
            {"sha256": "aaaaaaaaaa"},
            {"sha256": "bb", "expiresAt": "1969-12-31T00:00:00Z"},
        ]));
        let old = rotated(&mut rotated_key, "cc", None, NOW).unwrap();
        assert_eq!(
            old,
            [Old {
                shown: "aaaaaaaa".to_owned(),
                ends: "never".to_owned()
            }]
        );
        assert_eq!(
            rotated_key,
            key(json!([{"sha256": "aaaaaaaaaa"}, {"sha256": "cc"}]))
        );
    }

    #[test]
    fn the_old_secret_ends_when_it_is_told_to_and_never_later_than_it_would() {
        let mut kept = key(json!([{"sha256": "a"}]));
        rotated(&mut kept, "c", Some(DAY), NOW).unwrap();
        assert_eq!(kept["secrets"][0]["expiresAt"], "1970-01-02T00:00:00Z");
        let mut sooner = key(json!([{"sha256": "a", "expiresAt": "1970-01-01T01:00:00Z"}]));
        rotated(&mut sooner, "c", Some(DAY), NOW).unwrap();
        assert_eq!(sooner["secrets"][0]["expiresAt"], "1970-01-01T01:00:00Z");
    }

    #[test]
    fn a_third_live_secret_is_refused_with_the_way_out() {
        let mut full = key(json!([{"sha256": "aaaaaaaaaa"}, {"sha256": "bbbbbbbbbb"}]));
        let said = rotated(&mut full, "c", None, NOW).unwrap_err().to_string();
        assert!(
            said.contains("serin key revoke web --secret aaaaaaaa or bbbbbbbb"),
            "{said}"
        );
    }

    #[test]
    fn exactly_one_secret_is_revoked() {
        let both = json!([{"sha256": "aa1"}, {"sha256": "aa2"}]);
        let mut one = key(both.clone());
        end_secret(&mut one, "web", "AA1").unwrap();
        assert_eq!(one, key(json!([{"sha256": "aa2"}])));
        let mut same = key(both);
        assert!(matches!(
            end_secret(&mut same, "web", "aa"),
            Err(Failed::Usage(_))
        ));
        assert!(matches!(
            end_secret(&mut same, "web", "b"),
            Err(Failed::NotFound(_))
        ));
        assert!(matches!(
            end_secret(&mut same, "web", ""),
            Err(Failed::NotFound(_))
        ));
    }

    const LIVE: &str = "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: 14\r\n\r\n\
                        {\"name\":\"web\"}";
    const STALE: &str = "HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n";

    #[actix_rt::test]
    async fn a_key_that_changed_in_between_is_not_overwritten_and_shows_no_secret() {
        let (at, mut questions) = scripted::server(vec![LIVE, STALE]).await;
        let asked = KeyRotate {
            name: "web".to_owned(),
            keep: None,
            server: scripted::asking(at),
        };
        let failed = rotate(&asked).await.unwrap_err();
        assert!(matches!(failed, Failed::Conflict(_)), "{failed:?}");
        questions.recv().await.unwrap();
        let put = questions.recv().await.unwrap().to_lowercase();
        assert!(
            put.contains("if-match: \"7\"") && !put.contains("sk-serin"),
            "{put}"
        );
    }
}
