//! Documents in, a snapshot out: nothing else is touched.
//!
//! What outlives a snapshot is taken over by identity: a target whose provider, address and model
//! are unchanged keeps its handle, so a change of weight resets no breaker and no count. A route
//! that cannot be built is left out with its reason; the others are not harmed.

use std::{collections::HashMap, sync::Arc};

use actix_web::http::{
    header::{HeaderName, HeaderValue},
    uri::{Authority, Scheme},
};
use bytes::Bytes;
use serin_proto::{
    base_url::{BaseUrl, Host},
    metric::Arm,
    unit::{Revision, Share},
    v1,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{Documents, Snapshot};
use crate::{
    auth::Keyring,
    pick::{Fallback, Rule, Split},
    provider::{Provider, credential::Credential},
    record::{cost::Prices, metrics::Metrics},
    retry::Budget,
    route::{Route, Table, Target, policy},
    target::{Handle, Identity, breaker::Policy as BreakerPolicy},
};

/// A snapshot, and what its watcher must do around the swap.
pub(super) struct Built {
    pub(super) snapshot: Snapshot,
    /// Every target of the snapshot with what its owner must know.
    pub(super) targets: Vec<Owned>,
    /// Documents that were left out, and why.
    pub(super) refused: Vec<Refused>,
}

/// What the actor of a target is told with each snapshot.
pub(super) struct Owned {
    pub(super) handle: Arc<Handle>,
    pub(super) provider: Arc<Provider>,
    pub(super) policy: BreakerPolicy,
    pub(super) weight: Share,
    pub(super) arm: Arm,
}

/// A document that was left out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) name: String,
    pub(super) why: String,
}

/// Compiles `documents`. `previous` lends what is unchanged.
pub(super) fn build(
    documents: &Documents,
    revision: Revision,
    previous: Option<&Snapshot>,
    metrics: &Metrics,
) -> Built {
    let mut refused = Vec::new();
    let mut providers: HashMap<&str, Arc<Provider>> = HashMap::new();
    for document in &documents.providers {
        match provider(document, previous) {
            Ok(provider) => drop(providers.insert(&document.name, Arc::new(provider))),
            Err(why) => refused.push(Refused {
                name: format!("providers/{}", document.name),
                why,
            }),
        }
    }
    let mut builder = RouteBuilder {
        providers: &providers,
        previous,
        metrics,
        targets: Vec::new(),
    };
    let mut routes = Vec::new();
    for document in &documents.routes {
        match builder.route(document) {
            Ok(route) => {
                let aliases = document
                    .aliases
                    .iter()
                    .map(|alias| alias.as_str().into())
                    .collect();
                routes.push((Arc::new(route), aliases));
            }
            Err(why) => refused.push(Refused {
                name: format!("routes/{}", document.name),
                why,
            }),
        }
    }
    let targets = builder.targets;
    let snapshot = Snapshot {
        revision,
        revision_header: HeaderValue::from(revision.0),
        keyring: Keyring::build(documents.keys.iter()),
        routes: Table::new(routes),
        providers: providers.into_values().collect(),
        target_ids: targets.iter().map(|target| target.handle.id).collect(),
    };
    Built {
        snapshot,
        targets,
        refused,
    }
}

fn provider(document: &v1::Provider, previous: Option<&Snapshot>) -> Result<Provider, String> {
    let url = BaseUrl::parse(&document.base_url).map_err(|bad| format!("baseUrl {bad}"))?;
    let host = match &url.host {
        Host::Name(name) => name.clone(),
        Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
    };
    let authority = Authority::try_from(format!("{host}:{}", url.port))
        .map_err(|_| format!("baseUrl has a host that cannot be asked for: {host}"))?;
    let default_port = if url.https { 443 } else { 80 };
    let host = if url.port == default_port {
        host
    } else {
        authority.to_string()
    };
    let headers = document.headers.iter().map(|(name, value)| {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("header {name}"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("value of header {name}"))?;
        Ok((name, value))
    });
    let headers = headers.collect::<Result<Vec<_>, String>>()?;
    let reference = document.credential.clone().unwrap_or_default();
    let known = previous.and_then(|snapshot| {
        let same = |provider: &&Arc<Provider>| {
            provider.name == document.name && *provider.credential.reference() == reference
        };
        snapshot
            .providers
            .iter()
            .find(same)
            .map(|provider| Arc::clone(&provider.credential))
    });
    let connect = document
        .timeouts
        .as_ref()
        .map_or("", |timeouts| timeouts.connect.as_str());
    let provider = Provider {
        name: document.name.clone(),
        base_url: document.base_url.clone(),
        scheme: if url.https {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        },
        authority,
        base_path: url.path,
        headers,
        credential: known.unwrap_or_else(|| Credential::new(reference)),
        connect: policy::duration(connect, policy::CONNECT_DEFAULT),
        usage_in_stream: document.usage_in_stream.unwrap_or(true),
        host: header(&host)?,
        common: Vec::new(),
    };
    Ok(provider.with_common())
}

struct RouteBuilder<'a> {
    providers: &'a HashMap<&'a str, Arc<Provider>>,
    previous: Option<&'a Snapshot>,
    metrics: &'a Metrics,
    targets: Vec<Owned>,
}

impl RouteBuilder<'_> {
    fn route(&mut self, document: &v1::Route) -> Result<Route, String> {
        let name: Arc<str> = document.name.as_str().into();
        let traffic = document.traffic.clone().unwrap_or_default();
        let index_of = |wanted: &str| document.targets.iter().position(|t| t.name == wanted);
        let weight = |target: &v1::Target| {
            let percent = traffic.weights.get(&target.name).copied().unwrap_or(0.0);
            Share::try_from(percent).map_err(|bad| format!("weight of {}: {bad}", target.name))
        };
        let weights = document
            .targets
            .iter()
            .map(weight)
            .collect::<Result<Vec<_>, _>>()?;
        let salt = traffic
            .rollout
            .as_ref()
            .map(|rollout| rollout.salt.as_str());
        let canary = index_of(&traffic.canary);
        let mut targets = Vec::new();
        let mut owned = Vec::new();
        for (index, (target, weight)) in document.targets.iter().zip(&weights).enumerate() {
            let compiled = self.target(&name, target)?;
            owned.push(Owned {
                handle: Arc::clone(&compiled.handle),
                provider: Arc::clone(&compiled.provider),
                policy: policy::breaker(document.breaker.as_ref()),
                weight: *weight,
                arm: if canary == Some(index) {
                    Arm::Canary
                } else {
                    Arm::Stable
                },
            });
            targets.push(compiled);
        }
        let shares: Vec<(&str, Share)> = document
            .targets
            .iter()
            .map(|t| t.name.as_str())
            .zip(weights)
            .collect();
        let before = self
            .previous
            .and_then(|snapshot| snapshot.routes.resolve(&name));
        let budget = before
            .filter(|before| before.name == name)
            .map(|b| Arc::clone(&b.budget));
        self.targets.append(&mut owned);
        Ok(Route {
            name_header: header(&name)?,
            seed: xxh3_64(name.as_bytes()),
            targets,
            split: Split::new(&name, &shares, canary.map(|index| (index, salt))),
            fallback: Fallback::new(traffic.fallback.iter().filter_map(|name| index_of(name))),
            affinity: document
                .affinity
                .iter()
                .filter_map(|word| Rule::parse(word))
                .collect(),
            limits: policy::limits(document.timeouts.as_ref()),
            retry: policy::retry(document.retry.as_ref()),
            budget: budget.unwrap_or_else(|| Arc::new(Budget::default())),
            retry_deposit: policy::retry_budget(document.retry.as_ref()),
            when_all_open: policy::when_all_open(&document.when_all_open),
            metrics: self.metrics.route(&name),
            name,
        })
    }

    fn target(&self, route: &Arc<str>, document: &v1::Target) -> Result<Target, String> {
        let provider = self.providers.get(document.provider.as_str());
        let provider = provider.ok_or_else(|| {
            format!(
                "target {} names provider {}, which there is none of",
                document.name, document.provider
            )
        })?;
        let name: Arc<str> = document.name.as_str().into();
        let identity = Identity {
            route: Arc::clone(route),
            target: Arc::clone(&name),
            provider: provider.name.clone(),
            base_url: provider.base_url.clone(),
            model: document.model.clone(),
        };
        let model = serde_json::to_vec(&document.model).map_err(|error| error.to_string())?;
        Ok(Target {
            name_header: header(&name)?,
            provider: Arc::clone(provider),
            model: Bytes::from(model),
            prices: document.price.as_ref().map(Prices::new),
            concurrency_max: document.max_concurrency.unwrap_or(u32::MAX),
            handle: self.handle(identity),
            name,
        })
    }

    fn handle(&self, identity: Identity) -> Arc<Handle> {
        let before = self
            .previous
            .and_then(|snapshot| snapshot.routes.resolve(&identity.route));
        let same = |target: &&Target| target.handle.identity == identity;
        if let Some(target) = before.and_then(|route| route.targets.iter().find(same)) {
            return Arc::clone(&target.handle);
        }
        let metrics = self.metrics.target(&identity.route, &identity.target);
        Arc::new(Handle::new(identity, metrics))
    }
}

fn header(name: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(name).map_err(|_| format!("{name} cannot stand in a header"))
}
