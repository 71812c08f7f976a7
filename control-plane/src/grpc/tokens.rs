//! Tokens of the control plane.

use serin_proto::name::is_name;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Services, answer,
    call::{Call, part},
    documents::{check_name, missing},
    v1::{
        ChangeResponse, DeleteRequest, GetRequest, ListRequest, ListTokensResponse,
        PutTokenRequest, TokenEntry, tokens_server::Tokens,
    },
};
use crate::{
    auth::Right,
    change::{self, Body, Refusal},
    read,
};

type Answered<T> = Result<Response<T>, Status>;

#[async_trait]
impl Tokens for Services {
    async fn get(&self, request: Request<GetRequest>) -> Answered<TokenEntry> {
        let work = |call: Call, asks: GetRequest| async move {
            let name = existing(asks.name)?;
            answer::token(&read::token(&call.plane, &call.actor, &name).await?)
        };
        self.call(("serin.v1.Tokens/Get", Right::ReadTokens), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRequest>) -> Answered<ListTokensResponse> {
        let work = |call: Call, asks: ListRequest| async move {
            let part = part(asks.limit, asks.page_token)?;
            let mut listed = read::tokens(&call.plane, &call.actor, &part).await?;
            Ok(ListTokensResponse {
                items: answer::items(&mut listed, answer::token),
                unreadable: answer::unreadable(&listed),
                next_page_token: listed.next_page_token.unwrap_or_default(),
            })
        };
        self.call(("serin.v1.Tokens/List", Right::ReadTokens), request, work)
            .await
    }

    async fn put(&self, request: Request<PutTokenRequest>) -> Answered<ChangeResponse> {
        let work = |call: Call, asks: PutTokenRequest| async move {
            let asked = call.asked(asks.options)?;
            check_name(&asks.name)?;
            let body = Body::Message(asks.token.ok_or_else(|| missing("token"))?);
            let changed =
                change::put_token(&call.plane, &call.actor, &asks.name, body, asked).await?;
            Ok(answer::changed(changed))
        };
        self.call(("serin.v1.Tokens/Put", Right::WriteTokens), request, work)
            .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answered<ChangeResponse> {
        let work = |call: Call, asks: DeleteRequest| async move {
            let asked = call.asked(asks.options)?;
            let name = existing(asks.name)?;
            let changed = change::delete_token(&call.plane, &call.actor, &name, asked).await?;
            Ok(answer::changed(changed))
        };
        self.call(
            ("serin.v1.Tokens/Delete", Right::WriteTokens),
            request,
            work,
        )
        .await
    }
}

/// The name of a token that should be there: a text that is no name is nobody's.
fn existing(name: String) -> Result<String, Refusal> {
    if is_name(&name) {
        Ok(name)
    } else {
        Err(Refusal::NotFound(format!("tokens/{name}")))
    }
}
