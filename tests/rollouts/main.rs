//! What rollouts promise, played with real programs: etcd, two control planes, and made-up traffic
//! at a scripted Prometheus.
//!
//! One file for each group of promises; `RO<n>` in a comment names the scenario of the acceptance
//! table. Crashes, leaders and partitions are the stories' (`tests/story`). Run one alone with
//! `cargo test -p serin-tests --test rollouts a_part_of_its_name`. Needs `cargo build` and
//! `make tools`.

mod flagger;
mod guards;
mod incidents;
mod pauses;
mod plans;
mod queries;
mod refusals;
mod samples;
mod stage;
mod story;
mod verdicts;
mod verified;
mod waits;
mod webhooks;

use std::process::ExitCode;

use serin_tests::{scenarios, scenarios::main as run};

/// All at once: they share one stage and spend their time waiting. Those with a stage of their own
/// wait for their turn.
const AT_ONCE: usize = 40;

fn main() -> ExitCode {
    let all = scenarios! {
        // The longest first.
        incidents:
            a_shared_incident_blames_nobody_and_an_absolute_limit_speaks,
            harm_after_twenty_good_minutes_is_taken_back_in_five;
        webhooks:
            a_closed_gate_of_a_day_rolls_nothing_back_and_harm_still_does,
            a_webhook_delays_nobody_and_each_answer_means_what_it_says;
        samples:
            an_outage_of_prometheus_holds_and_loses_no_increment,
            a_router_that_begins_anew_is_counted_exactly,
            a_router_that_vanishes_holds_and_its_guard_still_works;
        guards:
            one_open_breaker_of_ten_is_counted_in_proportion,
            an_open_breaker_needs_no_traffic,
            a_candidate_that_is_down_is_named_and_not_waited_for_without_end;
        verdicts:
            an_equal_candidate_is_promoted_step_by_step,
            five_percent_of_errors_are_rolled_back,
            a_candidate_that_fails_wholly_is_gone_within_two_ticks,
            a_refused_credential_is_gone_within_two_ticks,
            hung_answers_are_failures,
            callers_who_leave_are_a_failure_not_silence,
            one_key_is_no_harm_and_fifty_are,
            what_is_only_observed_never_acts;
        waits:
            silence_pauses_and_traffic_resumes,
            few_samples_are_waited_for_and_the_wait_is_told,
            blindness_steps_back_to_what_was_passed;
        queries:
            an_answer_that_is_no_number_never_passes,
            a_value_out_of_range_is_counted_and_then_acts;
        plans:
            a_changed_plan_holds_from_the_next_step_on,
            a_changed_plan_may_restart,
            another_candidate_takes_its_place_in_one_transaction,
            the_definition_of_a_candidate_stands_while_it_is_judged,
            a_route_with_a_rollout_is_not_deleted;
        pauses:
            a_pause_is_no_time_and_guards_stay_awake,
            a_suspended_rollout_is_moved_by_guards_alone;
        flagger:
            their_minimal_rollout_runs_as_they_say;
        refusals:
            every_fault_of_a_plan_is_told_at_once,
            a_verb_that_is_not_legal_now_is_told_those_that_are;
        verified:
            a_history_that_was_touched_is_found_out,
            means_queries_and_guards_are_recomputed_by_somebody_else;
    };
    run(&all, AT_ONCE)
}
