//! A route's document, compiled into the form that requests use.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serin_proto::{document::Document, metric::Arm, unit::Share, v1};
use xxhash_rust::xxh3::xxh3_64;

use super::{Owned, header};
use crate::{
    pick::{Fallback, Rule, Split},
    provider::Provider,
    record::{cost::Prices, metrics::Metrics},
    retry::Budget,
    route::{Route, Target, policy},
    target::{Handle, Identity},
};

/// What a route is compiled with.
pub(super) struct Compiler<'a> {
    pub(super) providers: &'a HashMap<String, Arc<Provider>>,
    /// The route of that name in the snapshot before.
    pub(super) before: Option<&'a Route>,
    pub(super) metrics: &'a Metrics,
}

impl Compiler<'_> {
    pub(super) fn compile(&self, source: &Arc<Document>) -> Result<(Route, Vec<Owned>), String> {
        let Document::Route(document) = &**source else {
            return Err("is no route".to_owned());
        };
        let name: Arc<str> = document.name.as_str().into();
        let traffic = document.traffic.clone().unwrap_or_default();
        let index_of = |wanted: &str| document.targets.iter().position(|t| t.name == wanted);
        let canary = index_of(&traffic.canary);
        let weights = weights(document, &traffic)?;
        let (mut targets, mut owned) = (Vec::new(), Vec::new());
        for (index, (target, weight)) in document.targets.iter().zip(&weights).enumerate() {
            let compiled = self.target(&name, target)?;
            let arm = if canary == Some(index) {
                Arm::Canary
            } else {
                Arm::Stable
            };
            owned.push(Owned {
                handle: Arc::clone(&compiled.handle),
                provider: Arc::clone(&compiled.provider),
                policy: policy::breaker(document.breaker.as_ref()),
                weight: *weight,
                arm,
            });
            targets.push(compiled);
        }
        let names = document.targets.iter().map(|t| t.name.as_str());
        let shares: Vec<(&str, Share)> = names.zip(weights).collect();
        let salt = traffic.rollout.as_ref().map(|rollout| &*rollout.salt);
        let route = Route {
            source: Arc::clone(source),
            aliases: document.aliases.iter().map(|a| a.as_str().into()).collect(),
            name_header: header(&name)?,
            seed: xxh3_64(name.as_bytes()),
            targets,
            split: Split::new(&name, &shares, canary.map(|index| (index, salt))),
            lease: policy::lease(traffic.rollout.as_ref()),
            fallback: Fallback::new(traffic.fallback.iter().filter_map(|name| index_of(name))),
            affinity: document
                .affinity
                .iter()
                .filter_map(|word| Rule::parse(word))
                .collect(),
            limits: policy::limits(document.timeouts.as_ref()),
            retry: policy::retry(document.retry.as_ref()),
            budget: self.before.map_or_else(
                || Arc::new(Budget::default()),
                |before| Arc::clone(&before.budget),
            ),
            retry_deposit: policy::retry_budget(document.retry.as_ref()),
            when_all_open: policy::when_all_open(&document.when_all_open),
            metrics: self.metrics.route(&name),
            name,
        };
        Ok((route, owned))
    }

    fn target(&self, route: &Arc<str>, document: &v1::Target) -> Result<Target, String> {
        let provider = self.providers.get(&document.provider);
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

    /// The one that the same target had, with all its state, or a new one.
    fn handle(&self, identity: Identity) -> Arc<Handle> {
        let same = |target: &&Target| target.handle.identity == identity;
        if let Some(target) = self.before.and_then(|b| b.targets.iter().find(same)) {
            return Arc::clone(&target.handle);
        }
        let metrics = self.metrics.target(&identity.route, &identity.target);
        Arc::new(Handle::new(identity, metrics))
    }
}

fn weights(document: &v1::Route, traffic: &v1::Traffic) -> Result<Vec<Share>, String> {
    let weight = |target: &v1::Target| {
        let percent = traffic.weights.get(&target.name).copied().unwrap_or(0.0);
        Share::try_from(percent).map_err(|bad| format!("weight of {}: {bad}", target.name))
    };
    document.targets.iter().map(weight).collect()
}
