//! Promises kept end to end: one file each, named for the promise.
//!
//! Real binary, real sockets, scripted providers (and one real engine). Run one alone with
//! `cargo test -p serin-tests --test story a_stream`. Needs `cargo build` and `tests/install.sh`.

mod a_bad_document_is_refused_alone;
mod a_killed_store_keeps_its_word;
mod a_real_engine_is_relayed;
mod a_refusing_target_is_felt_by_nobody;
mod a_restart_drops_no_stream;
mod a_stream_is_relayed_byte_for_byte;
mod bad_input_is_answered;
mod callers_who_leave;
mod documents;
mod edits_under_load;
mod examples_are_valid;
mod leader_kills_lose_no_write;
mod routers_survive_etcd_loss;
mod sdks_see_no_difference;
mod shares_hold_over_http;
mod start_is_refused;
mod the_api_keeps_to_its_document;
mod the_demo_answers;
mod traffic_shifts_with_one_call;
