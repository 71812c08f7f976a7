//! What operators ask for: which routers there are, who changed what, and to accept another store.

use serin_proto::fleet::Source;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Services, answer,
    call::{Call, part},
    v1::{
        AdoptRequest, AdoptResponse, ListAuditResponse, ListRequest, ListRoutersRequest,
        ListRoutersResponse, RejectedDocument, Router, audit_server::Audit,
        routers_server::Routers, store_server::Store,
    },
};
use crate::{
    auth::Right,
    change::{self, Body},
    clock, fleet,
    read::{self, Filter},
};

type Answered<T> = Result<Response<T>, Status>;

#[async_trait]
impl Routers for Services {
    async fn list(&self, request: Request<ListRoutersRequest>) -> Answered<ListRoutersResponse> {
        let work = |call: Call, _| async move {
            let routers = call.plane.fleet.routers(clock::now()).into_iter();
            Ok(ListRoutersResponse {
                items: routers.map(router).collect(),
            })
        };
        self.call(("serin.v1.Routers/List", Right::Read), request, work)
            .await
    }
}

#[async_trait]
impl Audit for Services {
    async fn list(&self, request: Request<ListRequest>) -> Answered<ListAuditResponse> {
        let work = |call: Call, asks: ListRequest| async move {
            let part = part(asks.limit, asks.page_token)?;
            let all = Filter::default();
            let listed = read::audit(&call.plane, &call.actor, &all, &part).await?;
            let records = listed.items.iter();
            Ok(ListAuditResponse {
                items: records
                    .map(|shown| answer::audit_record(&shown.json, shown.revision.0))
                    .collect(),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Audit/List", Right::Read), request, work)
            .await
    }
}

#[async_trait]
impl Store for Services {
    async fn adopt(&self, request: Request<AdoptRequest>) -> Answered<AdoptResponse> {
        let work = |call: Call, mut asks: AdoptRequest| async move {
            let key = std::mem::take(&mut asks.idempotency_key);
            let asked = call.asked_once((&asks.reason, asks.dry_run), &key, &asks)?;
            let body = Body::Message(asks.reason);
            let adopted = change::adopt(&call.plane, &call.actor, body, asked).await?;
            Ok(AdoptResponse {
                revision: adopted.revision.0,
                ulid: adopted.ulid,
                audit_id: adopted.audit_id.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Store/Adopt", Right::Adopt), request, work)
            .await
    }
}

fn router(router: fleet::Router) -> Router {
    let rejected = router.rejected.into_iter().map(|one| RejectedDocument {
        key: one.key,
        mod_revision: one.mod_revision,
        code: one.code,
        message: one.message,
        serving_revision: one.serving_revision,
    });
    Router {
        id: router.id,
        version: router.version,
        boot_id: router.boot_id,
        started_at: router.started_at,
        admin_address: router.admin_address,
        applied_revision: router.applied_revision,
        lag: router.lag,
        state: router.state.as_str().to_owned(),
        source: match router.source {
            Source::Store => "store".to_owned(),
            Source::Cache => "cache".to_owned(),
        },
        hold: router
            .hold
            .map(|hold| hold.as_str().to_owned())
            .unwrap_or_default(),
        rejected_count: router.rejected_count,
        rejected: rejected.collect(),
    }
}
