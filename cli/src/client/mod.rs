//! The verbs that ask a control plane over REST.
//!
//! ```text
//!   args::remote ─▶ a verb ─▶ Api::call ─▶ /api/v1/…        answers are shown as they came
//!                                └ refused: Problem, in words and as an exit code
//! ```
//! One client, of one thread; every call has a deadline; redirects are not followed, so a token goes
//! to the server that was named and nowhere else.

mod api;
mod apply;
mod changes;
mod delete;
mod diff;
mod export;
mod get;
mod key;
mod list;
mod problem;
mod rollout;
#[cfg(test)]
mod scripted;
mod show;
mod store;
mod submit;
mod token;
mod traffic;
mod watch;

pub(crate) use api::{Api, Call};
use problem::Problem;

use crate::{
    args::remote::{KeyVerb, StoreVerb, TokenVerb, Verb},
    exit::Failed,
};

/// Runs one verb to its end.
pub(crate) fn run(verb: &Verb) -> Result<(), Failed> {
    actix_rt::System::new().block_on(async {
        match verb {
            Verb::Apply(apply) => apply::apply(apply).await,
            Verb::Diff(diff) => diff::diff(diff).await,
            Verb::Export(export) => export::export(export).await,
            Verb::Get(get) => get::get(get).await,
            Verb::Delete(delete) => delete::delete(delete).await,
            Verb::Traffic(traffic) => traffic::traffic(traffic).await,
            Verb::Rollout(verb) => rollout::run(verb).await,
            Verb::Key(KeyVerb::Create(create)) => key::create(create).await,
            Verb::Key(KeyVerb::List(list)) => get::keys(list).await,
            Verb::Key(KeyVerb::Rotate(rotate)) => key::rotate(rotate).await,
            Verb::Key(KeyVerb::Revoke(revoke)) => key::revoke(revoke).await,
            Verb::Token(TokenVerb::Create(create)) => token::create(create).await,
            Verb::Token(TokenVerb::List(list)) => get::tokens(list).await,
            Verb::Token(TokenVerb::Revoke(revoke)) => token::revoke(revoke).await,
            Verb::Store(StoreVerb::Adopt(adopt)) => store::adopt(adopt).await,
        }
    })
}
