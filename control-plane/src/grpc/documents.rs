//! Providers, routes with their traffic, keys and tiers.

use serde::de::DeserializeOwned;
use serin_proto::{
    Fault,
    document::Document,
    fault::Pointer,
    key::{DocumentKey, Kind},
    name::is_name,
    v1,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Services, answer,
    call::{Call, malformed, part},
    v1::{
        ChangeOptions, ChangeResponse, DeleteRequest, GetRequest, KeyEntry, ListKeysResponse,
        ListProvidersResponse, ListRequest, ListRoutesResponse, ListTiersResponse, ProviderEntry,
        PutKeyRequest, PutProviderRequest, PutRouteRequest, PutTierRequest, RouteEntry,
        SetTrafficRequest, TierEntry, TrafficEntry, keys_server::Keys, providers_server::Providers,
        routes_server::Routes, tiers_server::Tiers,
    },
};
use crate::{
    auth::Right,
    change::{self, Body, Refusal},
    read::{self, Listed, Shown},
};

type Answered<T> = Result<Response<T>, Status>;

#[async_trait]
impl Providers for Services {
    async fn get(&self, request: Request<GetRequest>) -> Answered<ProviderEntry> {
        let work = |call, asks| async move {
            let (provider, revision) = get(&call, Kind::Provider, asks).await?;
            Ok(ProviderEntry { provider, revision })
        };
        self.call(("serin.v1.Providers/Get", Right::Read), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListProvidersResponse> {
        let work = |call, asks| async move {
            let (items, listed) = list(&call, Kind::Provider, asks).await?;
            let entry = |(provider, revision)| ProviderEntry { provider, revision };
            Ok(ListProvidersResponse {
                items: items.into_iter().map(entry).collect(),
                unreadable: answer::unreadable(&listed),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Providers/List", Right::Read), request, work)
            .await
    }

    async fn put(&self, request: Request<PutProviderRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks: PutProviderRequest| async move {
            let document = asks.provider.map(Document::Provider);
            put(&call, "provider", document, asks.options).await
        };
        self.call(
            ("serin.v1.Providers/Put", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks| async move { delete(&call, Kind::Provider, asks).await };
        self.call(
            ("serin.v1.Providers/Delete", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }
}

#[async_trait]
impl Routes for Services {
    async fn get(&self, request: Request<GetRequest>) -> Answered<RouteEntry> {
        let work = |call, asks| async move {
            let (route, revision) = get(&call, Kind::Route, asks).await?;
            Ok(RouteEntry { route, revision })
        };
        self.call(("serin.v1.Routes/Get", Right::Read), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListRoutesResponse> {
        let work = |call, asks| async move {
            let (items, listed) = list(&call, Kind::Route, asks).await?;
            let entry = |(route, revision)| RouteEntry { route, revision };
            Ok(ListRoutesResponse {
                items: items.into_iter().map(entry).collect(),
                unreadable: answer::unreadable(&listed),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Routes/List", Right::Read), request, work)
            .await
    }

    async fn put(&self, request: Request<PutRouteRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks: PutRouteRequest| async move {
            let document = asks.route.map(Document::Route);
            put(&call, "route", document, asks.options).await
        };
        self.call(
            ("serin.v1.Routes/Put", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks| async move { delete(&call, Kind::Route, asks).await };
        self.call(
            ("serin.v1.Routes/Delete", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }

    async fn get_traffic(&self, request: Request<GetRequest>) -> Answered<TrafficEntry> {
        let work = |call: Call, asks: GetRequest| async move {
            let (route, revision) = get::<v1::Route>(&call, Kind::Route, asks).await?;
            let traffic = route.and_then(|route| route.traffic);
            Ok(TrafficEntry {
                traffic: Some(traffic.unwrap_or_default()),
                revision,
            })
        };
        self.call(("serin.v1.Routes/GetTraffic", Right::Read), request, work)
            .await
    }

    async fn set_traffic(&self, request: Request<SetTrafficRequest>) -> Answered<ChangeResponse> {
        let work = |call: Call, asks: SetTrafficRequest| async move {
            let asked = call.asked(asks.options)?;
            let key = key(Kind::Route, asks.route)?;
            let traffic = asks.traffic.ok_or_else(|| missing("traffic"))?;
            let body = Body::Message(traffic);
            let changed =
                change::put_traffic(&call.plane, &call.actor, &key.name, body, asked).await?;
            Ok(answer::changed(changed))
        };
        self.call(
            ("serin.v1.Routes/SetTraffic", Right::MoveTraffic),
            request,
            work,
        )
        .await
    }
}

#[async_trait]
impl Keys for Services {
    async fn get(&self, request: Request<GetRequest>) -> Answered<KeyEntry> {
        let work = |call, asks| async move {
            let (key, revision) = get(&call, Kind::Key, asks).await?;
            Ok(KeyEntry { key, revision })
        };
        self.call(("serin.v1.Keys/Get", Right::Read), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListKeysResponse> {
        let work = |call, asks| async move {
            let (items, listed) = list(&call, Kind::Key, asks).await?;
            let entry = |(key, revision)| KeyEntry { key, revision };
            Ok(ListKeysResponse {
                items: items.into_iter().map(entry).collect(),
                unreadable: answer::unreadable(&listed),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Keys/List", Right::Read), request, work)
            .await
    }

    async fn put(&self, request: Request<PutKeyRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks: PutKeyRequest| async move {
            let document = asks.key.map(Document::Key);
            put(&call, "key", document, asks.options).await
        };
        self.call(("serin.v1.Keys/Put", Right::WriteDocuments), request, work)
            .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks| async move { delete(&call, Kind::Key, asks).await };
        self.call(
            ("serin.v1.Keys/Delete", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }
}

#[async_trait]
impl Tiers for Services {
    async fn get(&self, request: Request<GetRequest>) -> Answered<TierEntry> {
        let work = |call, asks| async move {
            let (tier, revision) = get(&call, Kind::Tier, asks).await?;
            Ok(TierEntry { tier, revision })
        };
        self.call(("serin.v1.Tiers/Get", Right::Read), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListTiersResponse> {
        let work = |call, asks| async move {
            let (items, listed) = list(&call, Kind::Tier, asks).await?;
            let entry = |(tier, revision)| TierEntry { tier, revision };
            Ok(ListTiersResponse {
                items: items.into_iter().map(entry).collect(),
                unreadable: answer::unreadable(&listed),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Tiers/List", Right::Read), request, work)
            .await
    }

    async fn put(&self, request: Request<PutTierRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks: PutTierRequest| async move {
            let document = asks.tier.map(Document::Tier);
            put(&call, "tier", document, asks.options).await
        };
        self.call(("serin.v1.Tiers/Put", Right::WriteDocuments), request, work)
            .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answered<ChangeResponse> {
        let work = |call, asks| async move { delete(&call, Kind::Tier, asks).await };
        self.call(
            ("serin.v1.Tiers/Delete", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }
}

/// The document and its revision.
async fn get<D: DeserializeOwned>(
    call: &Call,
    kind: Kind,
    asks: GetRequest,
) -> Result<(Option<D>, u64), Refusal> {
    let key = key(kind, asks.name)?;
    let shown = read::document(&call.plane, &call.actor, &key).await?;
    Ok((Some(answer::document(kind, &shown)?), shown.revision.0))
}

/// The documents of a page, each with its revision, and what else the list tells.
async fn list<D: DeserializeOwned>(
    call: &Call,
    kind: Kind,
    asks: ListRequest,
) -> Result<(Vec<(Option<D>, u64)>, Listed), Refusal> {
    let part = part(asks.limit, asks.page_token)?;
    let mut listed = read::documents(&call.plane, &call.actor, kind, &part).await?;
    let item = |shown: &Shown| Ok((Some(answer::document(kind, shown)?), shown.revision.0));
    let items = answer::items(&mut listed, item);
    Ok((items, listed))
}

/// `field` is where the message has its document.
async fn put(
    call: &Call,
    field: &str,
    document: Option<Document>,
    options: Option<ChangeOptions>,
) -> Result<ChangeResponse, Refusal> {
    let asked = call.asked(options)?;
    let document = document.ok_or_else(|| missing(field))?;
    check_name(document.name())?;
    let (key, body) = (document.key(), Body::Message(document));
    let changed = change::put(&call.plane, &call.actor, key, body, asked).await?;
    Ok(answer::changed(changed))
}

async fn delete(call: &Call, kind: Kind, asks: DeleteRequest) -> Result<ChangeResponse, Refusal> {
    let asked = call.asked(asks.options)?;
    let key = key(kind, asks.name)?;
    let changed = change::delete(&call.plane, &call.actor, key, asked).await?;
    Ok(answer::changed(changed))
}

/// The key of a document that should be there: a text that is no name is nobody's.
fn key(kind: Kind, name: String) -> Result<DocumentKey, Refusal> {
    let is_name = is_name(&name);
    let key = DocumentKey { kind, name };
    if is_name {
        Ok(key)
    } else {
        Err(Refusal::NotFound(key.to_string()))
    }
}

/// The name of what is to be written: the rule of names is told.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if is_name(name) {
        return Ok(());
    }
    let message = "is none: 1 to 63 of a-z, 0-9, . and -, a letter or digit first and last";
    let at = Pointer::root().key("name");
    Err(Refusal::Invalid(vec![Fault::new(&at, "bad_name", message)]))
}

pub(super) fn missing(field: &str) -> Refusal {
    malformed(field, "missing", "is missing")
}
