//! The router in process: real sockets, real workers, a provider that follows a script.
//!
//! Each story is told from up to three sides: what the caller read, what the provider's journal
//! noted, what `/metrics` counted. Waiting is for a condition, with a deadline (`wait.rs`).
//!
//! | file | promises about |
//! |---|---|
//! | `path` | one good request, headers, what reaches the provider |
//! | `streaming` | streams: what may differ, what ends them |
//! | `fallback`, `failures` | each failure before the first content, with another target and without |
//! | `breaker`, `comeback` | when a target is left alone, and how it comes back |
//! | `operations` | what an operation has: streams or none, a terminator or none |
//! | `large` | JSON answers that are not held: whether they are whole, what they used |
//! | `tokens` | what is counted when a provider says nothing, or nonsense |
//! | `full` | `maxConcurrency`, retries and their budget |
//! | `reload` | changes of documents under load |
//! | `store`, `bad_writer` | a store: each change alone; nonsense refused alone and pinned |
//! | `hold` | another store than before, adoption, a start from the snapshot file |
//! | `announce` | what a router tells of itself |
//! | `canary` | arms, samples |
//! | `exposure` | a canary's share on lease, what is counted of a canary |
//! | `leaving` | callers who hang up |
//! | `drain` | a router that stops |
//! | `metrics` | which series exist, and that callers cannot add any |
//! | `hostile`, `framing` | requests that are none |
//! | `log` | the access lines |
//!
//! Not here: the binary, files and signals (`tests/story`).

mod announce;
mod bad_writer;
mod breaker;
mod canary;
mod client;
mod comeback;
mod drain;
mod exposure;
mod failures;
mod fallback;
mod framing;
mod full;
mod hold;
mod hostile;
mod large;
mod leaving;
mod log;
mod metrics;
mod operations;
mod path;
mod reload;
mod running;
mod scrape;
mod stage;
mod store;
mod stores;
mod streaming;
mod tokens;
mod wait;
