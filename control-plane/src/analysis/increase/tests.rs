//! Differences against a made-up truth: whatever is scraped when, no increment is lost or counted
//! twice.

use proptest::prelude::*;

use super::*;

fn point(at: Millis, value: f64) -> Point {
    Point {
        at,
        value,
        began: None,
    }
}

fn counted(cursor: Millis, points: &[Point]) -> Counter {
    let mut counter = Counter::after(cursor);
    for point in points {
        counter.take(*point);
    }
    counter
}

#[rustfmt::skip]
#[test]
fn each_case_counts_as_the_rules_say() {
    let began = |at, value, began: f64| Point { began: Some(began), ..point(at, value) };
    let table: [(&str, &[Point], f64, bool); 13] = [
        ("nothing",                         &[],                                                    0.0, false),
        ("only a base",                     &[point(900, 7.0)],                                     0.0, false),
        ("differences after the base",      &[point(900, 7.0), point(1_100, 9.0), point(1_200, 12.0)], 5.0, false),
        ("the last base counts",            &[point(900, 5.0), point(1_000, 7.0), point(1_001, 8.0)], 1.0, false),
        ("a reset adds the new value",      &[point(900, 7.0), point(1_100, 3.0), point(1_200, 4.0)], 4.0, false),
        ("a reset before the cursor",       &[point(800, 7.0), point(900, 1.0), point(1_100, 4.0)], 3.0, false),
        ("new, first seen at 0",            &[point(1_100, 0.0), point(1_200, 2.0)],                2.0, false),
        ("new, first seen at 3",            &[point(1_100, 3.0), point(1_200, 5.0)],                2.0, true),
        ("new, of a new process, at 3",     &[began(1_100, 3.0, 1.05), began(1_200, 5.0, 1.05)],    5.0, false),
        ("new, of an old process, at 3",    &[began(1_100, 3.0, 0.95), began(1_200, 5.0, 0.95)],    2.0, true),
        ("a new process that is above",     &[began(900, 3.0, 0.5), began(9_000, 5.0, 8.0)],        5.0, false),
        ("the same process, seen twice",    &[began(900, 3.0, 0.5), began(9_000, 5.0, 0.51)],       2.0, false),
        ("a sample again",                  &[point(900, 1.0), point(1_100, 3.0), point(1_100, 9.0), point(1_050, 9.0)], 2.0, false),
    ];
    for (case, points, rise, partial) in table {
        let counter = counted(1_000, points);
        assert_eq!((counter.rise(), counter.is_partial()), (rise, partial), "{case}");
        assert_eq!(counter.count() as f64, rise, "{case}");
    }
}

#[test]
fn a_base_that_is_missing_is_known_before_it_is_too_late() {
    let counter = Counter::after(1_000);
    assert!(counter.lacks_base(point(1_100, 3.0)));
    assert!(!counter.lacks_base(point(1_100, 0.0)));
    assert!(!counter.lacks_base(point(1_000, 3.0)));
    assert!(!counted(1_000, &[point(900, 1.0)]).lacks_base(point(1_100, 3.0)));
    // One that began where all was looked at was never counted.
    let young = Point {
        began: Some(0.6),
        ..point(1_100, 3.0)
    };
    assert!(counter.lacks_base(young));
    let mut young_counter = counter.known_since(500);
    young_counter.take(young);
    assert_eq!(
        (young_counter.rise(), young_counter.is_partial()),
        (3.0, false)
    );
    // Looked up further back, it is as good as one that was there.
    let counter = counted(1_000, &[point(100, 1.0), point(1_100, 3.0)]);
    assert_eq!((counter.rise(), counter.is_partial()), (2.0, false));
}

/// What really happened to one counter: when it was scraped, and what it added since before.
#[derive(Clone, Debug)]
struct Truth {
    points: Vec<Point>,
    /// Everything ever added, up to and with each scrape.
    added: Vec<f64>,
}

/// Steps of time, increments, restarts, missed scrapes.
fn truth() -> impl Strategy<Value = Truth> {
    let step = (2_u64..20, 0_u32..4, any::<u8>(), any::<u8>());
    proptest::collection::vec(step, 1..60).prop_map(|steps| {
        let (mut at, mut value, mut total, mut began) = (1_000, 0.0, 0.0, 0.75);
        let (mut points, mut added, mut unseen) = (Vec::new(), Vec::new(), 0.0);
        for (passed, more, restart, missed) in steps {
            at += passed * 1_000;
            // What was counted after the last scrape before a crash is lost with the process; what
            // the new process has counted is not.
            if restart < 25 {
                (value, began) = (0.0, at as f64 / 1_000.0 - 0.5);
                total -= std::mem::take(&mut unseen);
            }
            value += f64::from(more);
            total += f64::from(more);
            if missed < 25 && restart >= 25 {
                unseen += f64::from(more);
                continue;
            }
            unseen = 0.0;
            let began = Some(began);
            points.push(Point { at, value, began });
            added.push(total);
        }
        Truth { points, added }
    })
}

proptest! {
    #[test]
    fn windows_that_tile_the_time_add_up_to_the_truth(
        truth in truth(),
        cuts in proptest::collection::vec(0_u64..1_300, 0..12),
        again in any::<bool>(),
    ) {
        prop_assume!(!truth.points.is_empty());
        let mut cursors: Vec<Millis> = cuts.iter().map(|cut| 500 + cut * 1_000).collect();
        cursors.extend([500, 2_000_000]);
        cursors.sort_unstable();
        let mut whole = 0.0;
        for pair in cursors.windows(2) {
            let mut counter = Counter::after(pair[0]).known_since(500);
            for point in truth.points.iter().filter(|point| point.at <= pair[1]) {
                counter.take(*point);
                if again {
                    counter.take(*point);
                }
            }
            prop_assert!(!counter.is_partial());
            prop_assert!(counter.rise() >= 0.0);
            whole += counter.rise();
        }
        prop_assert_eq!(whole, *truth.added.last().unwrap());
    }

    #[test]
    fn a_rise_is_never_more_than_was_added(truth in truth(), from in 0_usize..60, cursor in 0_u64..1_300) {
        prop_assume!(!truth.points.is_empty());
        let cursor = 500 + cursor * 1_000;
        // Some of the beginning is gone: retention, or a source that did not run.
        let from = from % truth.points.len();
        let seen = &truth.points[from..];
        let counter = counted(cursor, seen);
        let before = truth.points.iter().zip(&truth.added).rfind(|(point, _)| point.at <= cursor);
        let before = before.map_or(0.0, |(_, added)| *added);
        let most = truth.added.last().unwrap() - before;
        prop_assert!(counter.rise() <= most.max(0.0), "{} of {most}", counter.rise());
        if !counter.is_partial() && seen.iter().any(|point| point.at <= cursor) {
            prop_assert_eq!(counter.rise(), most.max(0.0));
        }
    }
}
