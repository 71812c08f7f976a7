//! What is about many documents at once: an apply, and the stream of changes.

use serin_proto::v1::File;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Services, answer,
    call::Call,
    v1::{ApplyRequest, ApplyResponse, WatchRequest, documents_server::Documents},
    watch::{self, Changes},
};
use crate::{
    auth::Right,
    change::{self, Body},
};

type Answered<T> = Result<Response<T>, Status>;

#[async_trait]
impl Documents for Services {
    async fn apply(&self, request: Request<ApplyRequest>) -> Answered<ApplyResponse> {
        let work = |call: Call, mut asks: ApplyRequest| async move {
            let key = std::mem::take(&mut asks.idempotency_key);
            let asked = call.asked_once((&asks.reason, asks.dry_run), &key, &asks)?;
            let traffic = asks.traffic;
            let file = File {
                providers: asks.providers,
                tiers: asks.tiers,
                routes: asks.routes,
                keys: asks.keys,
                ..File::default()
            };
            let body = Body::Message(file);
            let applied = change::apply(&call.plane, &call.actor, body, traffic, asked).await?;
            Ok(answer::applied(applied))
        };
        self.call(
            ("serin.v1.Documents/Apply", Right::WriteDocuments),
            request,
            work,
        )
        .await
    }

    type WatchStream = Changes;

    async fn watch(&self, request: Request<WatchRequest>) -> Answered<Changes> {
        let work = |call, asks: WatchRequest| watch::begin(call, asks.after);
        self.call(("serin.v1.Documents/Watch", Right::Read), request, work)
            .await
    }
}
