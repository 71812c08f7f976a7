//! Rollouts under the faults of a cluster: leaders that die, stop and return, stores that fall
//! silent, split, forget or go back, clocks that lie, and two people at once.
//!
//! Real etcd, real control planes (some of a build that dies where it is told), routers real where
//! they are the point, a Prometheus that is scripted. One alone:
//! `cargo test -p serin-tests --test rollout_faults a_part_of_its_name`. `RO` and `K` numbers are
//! those of the acceptance tables.

mod clocks;
mod fence;
mod fleet;
mod full;
mod history;
mod leader_killed;
mod leader_killed_from_outside;
mod leader_killed_when_asked;
mod older_stores;
mod routers;
mod split;
mod stage;
mod store;
mod succession;
mod telling;
mod two_replicas;
mod unknown;

use std::process::ExitCode;

use serin_tests::{scenarios, scenarios::main as run};

/// Scenarios at once: most of their time is waiting.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let all = scenarios! {
        // The longest first.
        routers:
            without_etcd_routers_serve_and_take_the_share_back_and_the_step_is_done_anew,
            an_abort_reaches_a_router_that_is_cut_off_by_its_exposure_lease,
            a_router_that_does_not_follow_is_told_and_waited_for,
            a_router_that_begins_anew_without_etcd_has_its_routes_and_no_share,
            an_undo_is_one_transaction_and_on_all_routers_at_once;
        older_stores:
            an_older_backup_changes_no_router_and_pauses_until_it_is_adopted,
            a_router_that_was_away_over_a_compaction_misses_nothing_and_lists_once;
        leader_killed:
            a_promotion_goes_on_after_a_death_before_each_commit,
            a_promotion_goes_on_after_a_death_after_each_commit,
            trouble_is_met_after_a_death_before_each_commit,
            trouble_is_met_after_a_death_after_each_commit,
            harm_is_rolled_back_once_after_a_death_before_each_commit,
            harm_is_rolled_back_once_after_a_death_after_each_commit;
        leader_killed_when_asked:
            gates_and_ramps_go_on_after_a_death_before_each_commit,
            gates_and_ramps_go_on_after_a_death_after_each_commit,
            what_people_ask_is_done_once_after_a_death_before_each_commit,
            what_people_ask_is_done_once_after_a_death_after_each_commit;
        leader_killed_from_outside:
            moved_traffic_is_taken_in_once_after_a_death_before_each_commit,
            moved_traffic_is_taken_in_once_after_a_death_after_each_commit;
        fence:
            a_leader_stopped_past_its_lease_changes_nothing_when_it_wakes,
            a_step_of_a_deposed_leader_fails_on_the_fence_and_is_counted;
        split:
            a_leader_in_an_etcd_minority_stops_and_the_majority_has_another;
        two_replicas:
            a_second_replica_makes_no_step_shorter_and_no_tick_twice,
            an_abort_and_a_promotion_at_once_have_one_winner_and_no_half,
            an_abort_needs_no_leader_no_prometheus_and_no_router,
            of_two_promotes_with_one_expected_seq_one_is_done,
            the_same_idempotency_key_has_one_effect_and_the_same_answer;
        unknown:
            a_step_that_arrived_and_whose_answer_did_not_is_done_once,
            a_step_that_did_not_arrive_is_done_once_and_later,
            a_promotion_by_hand_with_a_lost_answer_is_done_once_and_answered;
        clocks:
            a_leaders_wall_clock_decides_nothing,
            a_step_is_as_long_as_it_should_be_whatever_the_wall_clocks_say,
            windows_follow_a_prometheus_that_jumps_and_no_step_gets_shorter;
        full:
            a_full_store_holds_rollouts_says_so_and_is_left_in_peace,
            many_rollouts_together_leave_a_full_store_in_peace;
    };
    run(&all, AT_ONCE)
}
