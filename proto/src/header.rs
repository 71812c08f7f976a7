//! Names of the headers Serin reads and writes, in lower case as HTTP libraries want them.
//!
//! Here, and not where they are set, because callers, tests and dashboards know them too: a changed
//! name is a visible change. What they carry is in the contract; no value is made here.

/// Kept if the caller sent a sane one, made otherwise.
pub const REQUEST_ID: &str = "x-request-id";
/// The route that answered; a name, never an alias.
pub const ROUTE: &str = "x-serin-route";
/// The target that answered.
pub const TARGET: &str = "x-serin-target";
/// `stable` or `canary`: what the request was assigned to.
pub const ARM: &str = "x-serin-arm";
/// How many attempts were made, from 1.
pub const ATTEMPTS: &str = "x-serin-attempts";
/// Revision of the snapshot that served the request.
pub const REVISION: &str = "x-serin-revision";
/// `hit`, `miss` or `bypass`, where the route caches.
pub const CACHE: &str = "x-serin-cache";
/// US dollars, when known before the body.
pub const COST_USD: &str = "x-serin-cost-usd";
/// `false` when the chain is exhausted: OpenAI's SDKs then do not retry on top.
pub const SHOULD_RETRY: &str = "x-should-retry";
/// Seconds to wait before the next try.
pub const RETRY_AFTER: &str = "retry-after";

pub const LIMIT_REQUESTS: &str = "x-ratelimit-limit-requests";
pub const LIMIT_TOKENS: &str = "x-ratelimit-limit-tokens";
pub const REMAINING_REQUESTS: &str = "x-ratelimit-remaining-requests";
pub const REMAINING_TOKENS: &str = "x-ratelimit-remaining-tokens";
pub const RESET_REQUESTS: &str = "x-ratelimit-reset-requests";
pub const RESET_TOKENS: &str = "x-ratelimit-reset-tokens";
