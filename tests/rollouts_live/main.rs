//! The first promises of rollouts with nothing made up: etcd, two control planes, two routers, a
//! provider that errs as it is told, a Prometheus that scrapes the routers each second, and callers.
//!
//! Time is what it is, so the plans are short; the same promises at the usual lengths, and all
//! others, are in `tests/rollouts`. `RO<n>` names the scenario of the acceptance table. One alone:
//! `cargo test -p serin-tests --test rollouts_live a_part_of_its_name`.

mod callers;
mod outage;
mod promises;
mod stage;
mod story;

use std::process::ExitCode;

use serin_tests::{scenarios, scenarios::main as run};

/// All: they share one stage, each with a route of its own.
const AT_ONCE: usize = 5;

fn main() -> ExitCode {
    let all = scenarios! {
        promises:
            an_equal_candidate_is_promoted_step_by_step,
            a_worse_candidate_is_rolled_back_and_no_caller_sees_it,
            a_candidate_that_fails_wholly_is_gone_within_two_ticks,
            silence_pauses_with_its_share_and_traffic_resumes;
        outage:
            an_outage_of_prometheus_holds_and_loses_no_increment;
    };
    run(&all, AT_ONCE)
}
