//! What every store promises (`serin_store`'s documentation, 1–14), as one set of cases that run on
//! each of them: memory, redb, and a real etcd.
//!
//! A case is a function over a [`Subject`], which makes a store and can do to it what no caller
//! can: compact it, end a lease behind its holder's back, kill and restart it. Every stream that a
//! case records goes through `judge`. `model` holds redb against memory with random histories.

mod alone;
mod cases;
mod judge;
mod model;
mod recorder;
mod subject;
mod writer;

/// A test for each case, on one subject.
macro_rules! tests {
    ($subject:ty: $($group:ident { $($case:ident)* })*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let subject = <$subject as crate::subject::Subject>::start().await;
                crate::cases::$group::$case(subject).await;
            }
        )*)*
    };
}

/// What every store is asked.
macro_rules! promises {
    ($subject:ty) => {
        tests! { $subject:
            transactions {
                one_revision_for_each_transaction
                what_changes_nothing_moves_no_revision
                versions_count_from_the_put_after_absence
                compares_hold_or_nothing_is_done
                a_conflict_tells_what_is_there
                nothing_newer_looks_at_its_range_alone
                a_key_is_named_once
                as_many_operations_as_etcd_takes
                a_value_at_the_limit_and_not_one_byte_more
            }
            reading {
                a_read_sees_what_was_committed_before_it
                a_scope_ends_where_its_neighbours_begin
                pages_follow_each_other_in_both_directions
                a_listing_is_one_revision_while_others_write_and_compact
                a_listing_may_be_large
            }
            watching {
                a_fresh_watch_begins_with_all_there_is
                every_change_comes_once_in_order_and_whole
                a_change_elsewhere_is_progress_and_nothing_else
                a_watch_resumes_after_what_was_seen
                who_resumes_and_missed_nothing_is_told_so
                a_watch_resumes_though_its_newest_key_is_gone
                a_watcher_behind_the_history_begins_anew
                a_compaction_does_not_disturb_who_keeps_up
                what_does_not_fit_our_history_begins_anew
                ten_thousand_events_behind_is_not_too_far
                a_dropped_watch_is_freed
            }
            contention {
                two_hundred_writers_of_one_key_lose_no_update
            }
            leases {
                a_revoked_lease_takes_its_keys_in_one_revision
                a_dropped_lease_takes_its_keys
                an_unknown_lease_is_refused
                a_lease_that_is_kept_outlives_its_time
                a_put_without_the_lease_takes_its_key_out
            }
        }
    };
}

/// What a store is asked that may lose a lease while its holder lives.
macro_rules! losing {
    ($subject:ty) => {
        tests! { $subject: leases { a_lost_lease_takes_its_keys_and_is_of_no_more_use } }
    };
}

/// What a store is asked that outlives its process.
macro_rules! lasting {
    ($subject:ty) => {
        tests! { $subject:
            lasting {
                what_was_committed_is_there_after_a_restart
                a_watch_resumes_over_a_restart
            }
        }
    };
}

mod memory {
    promises!(crate::subject::Memory);
    losing!(crate::subject::Memory);
}

mod redb {
    promises!(crate::subject::Redb);
    lasting!(crate::subject::Redb);
}

mod etcd {
    promises!(crate::subject::Etcd);
    losing!(crate::subject::Etcd);
    lasting!(crate::subject::Etcd);
}
