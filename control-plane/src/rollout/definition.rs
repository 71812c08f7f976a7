//! What a target is, in twelve hex digits: whether it is still what a rollout began with. Pure.
//!
//! Its own fields and those of its provider that decide what answers: dialect, address, headers.
//! Credential and timeouts may change under a running rollout.

use serde_json::json;
use serin_proto::v1;

use super::canonical;

/// The hash of a target's definition.
#[must_use]
pub(crate) fn hash(target: &v1::Target, provider: &v1::Provider) -> String {
    let meant = json!({
        "target": target,
        "dialect": provider.dialect,
        "baseUrl": provider.base_url,
        "headers": provider.headers,
    });
    canonical::short(&canonical::json(&meant))
}

/// Targets of a route whose definition a rollout rests on: the candidate, and each other that has a
/// share.
pub(crate) fn relied_on(route: &v1::Route) -> impl Iterator<Item = &v1::Target> {
    let traffic = route.traffic.as_ref();
    route.targets.iter().filter(move |target| {
        traffic.is_some_and(|traffic| {
            let weight = traffic.weights.get(&target.name);
            traffic.canary == target.name || weight.is_some_and(|percent| *percent > 0.0)
        })
    })
}

/// Whether what a provider gives to its targets' definitions stays.
pub(crate) fn is_given_alike(before: &v1::Provider, after: &v1::Provider) -> bool {
    before.dialect == after.dialect
        && before.base_url == after.base_url
        && before.headers == after.headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> v1::Target {
        v1::Target {
            name: "claude".to_owned(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            ..v1::Target::default()
        }
    }

    fn provider() -> v1::Provider {
        v1::Provider {
            name: "p".to_owned(),
            dialect: "openai".to_owned(),
            base_url: "https://a/v1".to_owned(),
            ..v1::Provider::default()
        }
    }

    #[test]
    fn a_hash_changes_with_what_answers_and_with_nothing_else() {
        let before = hash(&target(), &provider());
        assert_eq!(
            (before.len(), before == hash(&target(), &provider())),
            (12, true)
        );
        let mut other = target();
        other.model = "n".to_owned();
        assert_ne!(hash(&other, &provider()), before);
        let mut moved = provider();
        moved.base_url = "https://b/v1".to_owned();
        assert_ne!(hash(&target(), &moved), before);
        let mut headed = provider();
        headed.headers.insert("x".to_owned(), "1".to_owned());
        assert_ne!(hash(&target(), &headed), before);
        let mut secret = provider();
        secret.credential = Some(v1::Credential {
            env: "KEY".to_owned(),
            ..v1::Credential::default()
        });
        secret.timeouts = Some(v1::ProviderTimeouts::default());
        assert_eq!(hash(&target(), &secret), before);
    }

    #[test]
    fn the_candidate_and_who_has_a_share_are_relied_on() {
        let named = |name: &str| v1::Target {
            name: name.to_owned(),
            ..target()
        };
        let mut route = v1::Route {
            targets: ["a", "b", "c"].map(named).to_vec(),
            ..v1::Route::default()
        };
        assert_eq!(relied_on(&route).count(), 0);
        let weights = [("a".to_owned(), 100.0), ("b".to_owned(), 0.0)];
        route.traffic = Some(v1::Traffic {
            weights: weights.into(),
            canary: "c".to_owned(),
            ..v1::Traffic::default()
        });
        let names: Vec<&str> = relied_on(&route)
            .map(|target| target.name.as_str())
            .collect();
        assert_eq!(names, ["a", "c"]);
    }
}
