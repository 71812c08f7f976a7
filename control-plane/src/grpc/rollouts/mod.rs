//! Rollouts: started, looked at, asked.

mod answer;

use serin_proto::v1::Rollout;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Services,
    call::{Call, malformed, part},
    v1::{
        GetRolloutRequest, ListRolloutsRequest, ListRolloutsResponse, PauseRolloutRequest,
        PromoteRolloutRequest, RolloutAnalysis, RolloutEntry, RolloutHistoryResponse,
        RolloutVerbRequest, SetGateRequest, StartRolloutRequest, StartRolloutResponse, VerbOptions,
        rollouts_server::Rollouts,
    },
};
use crate::{
    auth::Right,
    change::{Body, Refusal, rollout as change},
    rollout::{
        event::{Undo, Verb},
        show::{self as view, Filter},
        state::Phase,
    },
};

type Answered<T> = Result<Response<T>, Status>;

#[async_trait]
impl Rollouts for Services {
    async fn start(&self, request: Request<StartRolloutRequest>) -> Answered<StartRolloutResponse> {
        self.call(
            ("serin.v1.Rollouts/Start", Right::RunRollouts),
            request,
            start,
        )
        .await
    }

    async fn get(&self, request: Request<GetRolloutRequest>) -> Answered<RolloutEntry> {
        let work = |call: Call, asks: GetRolloutRequest| async move {
            let shown = view::rollout(&call.plane, &call.actor, &asks.id).await?;
            Ok(answer::entry(&shown.json, shown.revision))
        };
        self.call(("serin.v1.Rollouts/Get", Right::Read), request, work)
            .await
    }

    async fn list(&self, request: Request<ListRolloutsRequest>) -> Answered<ListRolloutsResponse> {
        self.call(("serin.v1.Rollouts/List", Right::Read), request, list)
            .await
    }

    async fn history(
        &self,
        request: Request<GetRolloutRequest>,
    ) -> Answered<RolloutHistoryResponse> {
        let work = |call: Call, asks: GetRolloutRequest| async move {
            let records =
                view::history(&call.plane, &call.actor, &asks.id, (0, usize::MAX)).await?;
            Ok(RolloutHistoryResponse {
                items: records.iter().map(answer::record).collect(),
            })
        };
        self.call(("serin.v1.Rollouts/History", Right::Read), request, work)
            .await
    }

    async fn analysis(&self, request: Request<GetRolloutRequest>) -> Answered<RolloutAnalysis> {
        let work = |call: Call, asks: GetRolloutRequest| async move {
            let shown = view::analysis(&call.plane, &call.actor, &asks.id).await?;
            Ok(answer::analysis(&shown.json))
        };
        self.call(("serin.v1.Rollouts/Analysis", Right::Read), request, work)
            .await
    }

    async fn pause(&self, request: Request<PauseRolloutRequest>) -> Answered<RolloutEntry> {
        let work = |call: Call, asks: PauseRolloutRequest| async move {
            let suspend = asks.suspend;
            run(&call, &asks.id, Verb::Pause { suspend }, asks.options).await
        };
        let method = ("serin.v1.Rollouts/Pause", Right::RunRollouts);
        self.call(method, request, work).await
    }

    async fn resume(&self, request: Request<RolloutVerbRequest>) -> Answered<RolloutEntry> {
        self.plain("serin.v1.Rollouts/Resume", request, Verb::Resume)
            .await
    }

    async fn promote(&self, request: Request<PromoteRolloutRequest>) -> Answered<RolloutEntry> {
        let work = |call: Call, asks: PromoteRolloutRequest| async move {
            let full = asks.full;
            run(&call, &asks.id, Verb::Promote { full }, asks.options).await
        };
        let method = ("serin.v1.Rollouts/Promote", Right::RunRollouts);
        self.call(method, request, work).await
    }

    async fn abort(&self, request: Request<RolloutVerbRequest>) -> Answered<RolloutEntry> {
        self.plain("serin.v1.Rollouts/Abort", request, Verb::Abort)
            .await
    }

    async fn undo(&self, request: Request<RolloutVerbRequest>) -> Answered<RolloutEntry> {
        let undo = Verb::Undo(Undo::default());
        self.plain("serin.v1.Rollouts/Undo", request, undo).await
    }

    async fn retry(&self, request: Request<RolloutVerbRequest>) -> Answered<RolloutEntry> {
        self.plain("serin.v1.Rollouts/Retry", request, Verb::Retry)
            .await
    }

    async fn skip_step(&self, request: Request<RolloutVerbRequest>) -> Answered<RolloutEntry> {
        self.plain("serin.v1.Rollouts/SkipStep", request, Verb::SkipStep)
            .await
    }

    async fn set_gate(&self, request: Request<SetGateRequest>) -> Answered<RolloutEntry> {
        let work = |call: Call, asks: SetGateRequest| async move {
            let verb = Verb::Gate {
                gate: asks.gate,
                open: asks.open,
            };
            run(&call, &asks.id, verb, asks.options).await
        };
        let method = ("serin.v1.Rollouts/SetGate", Right::RunRollouts);
        self.call(method, request, work).await
    }
}

impl Services {
    /// A verb that takes nothing of its own.
    async fn plain(
        &self,
        method: &'static str,
        request: Request<RolloutVerbRequest>,
        verb: Verb,
    ) -> Answered<RolloutEntry> {
        let work = |call: Call, asks: RolloutVerbRequest| async move {
            run(&call, &asks.id, verb, asks.options).await
        };
        self.call((method, Right::RunRollouts), request, work).await
    }
}

async fn start(call: Call, mut asks: StartRolloutRequest) -> Result<StartRolloutResponse, Refusal> {
    let key = std::mem::take(&mut asks.idempotency_key);
    let asked = call.asked_once((&asks.reason, asks.dry_run), &key, &asks)?;
    let missing = || malformed("rollout", "missing", "is missing: the plan");
    let plan: Rollout = asks.rollout.ok_or_else(missing)?;
    let route = plan.route.clone();
    let body = Body::Message(plan);
    let started = change::start(&call.plane, &call.actor, asked, &route, body).await?;
    Ok(answer::started(started))
}

async fn list(call: Call, asks: ListRolloutsRequest) -> Result<ListRolloutsResponse, Refusal> {
    let filled = |text: String| (!text.is_empty()).then_some(text);
    let filter = Filter {
        phase: filled(asks.phase),
        route: filled(asks.route),
    };
    if let Some(phase) = &filter.phase
        && !Phase::WORDS.contains(&phase.as_str())
    {
        let words = Phase::WORDS.join(", ");
        let text = format!("there is no phase {phase:?}: it is one of {words}");
        return Err(malformed("phase", "unknown_word", &text));
    }
    let part = part(asks.limit, asks.page_token)?;
    let listed = view::rollouts(&call.plane, &call.actor, &filter, &part).await?;
    Ok(answer::listed(listed))
}

async fn run(
    call: &Call,
    id: &str,
    verb: Verb,
    options: Option<VerbOptions>,
) -> Result<RolloutEntry, Refusal> {
    let mut options = options.unwrap_or_default();
    let key = std::mem::take(&mut options.idempotency_key);
    let asks = answer::digested(id, &verb, &options);
    let asked = call.asked_once((&options.reason, false), &key, &asks)?;
    let asks = (verb, options.expected_seq);
    let ran = change::verb(&call.plane, &call.actor, asked, id, asks).await?;
    Ok(answer::entry(&ran.state, ran.revision))
}
