//! Windows over many routers that restart, are missed and come back: what was counted, and once.

use proptest::prelude::*;

use super::*;
use crate::analysis::{
    query::PROCESS_START,
    reader::{Family, made_up::MadeUp},
};

const SCRAPE_MS: u64 = 5_000;
const START: Millis = 1_700_000_000_000;

fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

fn want(live: u32) -> Want {
    Want {
        route: "chat".to_owned(),
        candidate: "claude".to_owned(),
        families: vec![Family::Samples],
        live,
        scrape_interval_ms: None,
    }
}

fn source() -> MadeUp {
    MadeUp {
        behind: 2 * SCRAPE_MS,
        scrape_ms: SCRAPE_MS,
        ..MadeUp::default()
    }
}

const ERROR: &str = "serin_analysis_samples_total{job=r,instance=a:1,route=chat,target=claude,\
                     arm=canary,role=first,outcome=error,reason=http_5xx}";

/// A router scraped without a break until now, whose revision says so.
fn scraped(source: &mut MadeUp, from: Millis) {
    let times = (from..=source.now).step_by(SCRAPE_MS as usize);
    let samples: Vec<(Millis, f64)> = times.map(|at| (at, 1.0)).collect();
    source.add("serin_config_revision{job=r,instance=a:1}", &samples);
}

fn total(raw: &Raw) -> u64 {
    raw.samples.iter().map(|ended| ended.by).sum()
}

/// What becomes of one router between two scrapes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Served(u8),
    /// It begins anew, and has served so many before it is scraped.
    Restarted(u8),
    /// It was not reached.
    Missed(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_u8..5).prop_map(Step::Served),
        1 => (0_u8..5).prop_map(Step::Restarted),
        1 => (0_u8..5).prop_map(Step::Missed),
    ];
    proptest::collection::vec(step, 10..80)
}

/// One router's series, and what it served as far as anybody can know. It served before, too. Its
/// clock is `skew` seconds ahead of the source's.
fn router(source: &mut MadeUp, name: &str, steps: &[Step], skew: f64) -> u64 {
    let clock = |at: Millis| at as f64 / 1_000.0 + skew;
    let (mut at, mut value, mut began) = (START, 40.0, clock(START) - 500.0);
    let (mut samples, mut starts, mut seen) = (vec![(at, value)], vec![(at, began)], 0);
    let mut unseen = 0;
    for step in steps {
        at += SCRAPE_MS;
        let by = match *step {
            Step::Restarted(by) => {
                (value, began, unseen) = (0.0, clock(at) - 2.0, 0);
                by
            }
            Step::Served(by) | Step::Missed(by) => by,
        };
        value += f64::from(by);
        unseen += u64::from(by);
        if !matches!(step, Step::Missed(_)) {
            samples.push((at, value));
            starts.push((at, began));
            seen += std::mem::take(&mut unseen);
        }
    }
    let who = format!("job=r,instance={name}");
    let labels = "route=chat,target=gpt,arm=stable,role=first,outcome=success,reason=none";
    source.add(
        &format!("serin_analysis_samples_total{{{who},{labels}}}"),
        &samples,
    );
    source.add(&format!("{PROCESS_START}{{{who}}}"), &starts);
    source.add(&format!("serin_config_revision{{{who}}}"), &starts);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn windows_of_any_length_add_up_to_what_was_served(
        routers in proptest::collection::vec(steps(), 1..4),
        ticks in proptest::collection::vec(1_u64..90, 1..40),
        skew in prop_oneof![Just(0.0), Just(-120.0), Just(120.0), Just(3_600.0)],
    ) {
        let mut source = source();
        let mut routers = routers;
        let longest = routers.iter().map(Vec::len).max().unwrap() + 3;
        // In the end all are there.
        routers.iter_mut().for_each(|steps| steps.resize(longest, Step::Served(1)));
        let names = ["a:1", "b:1", "c:1"];
        let served = names.iter().zip(&routers).map(|(name, steps)| router(&mut source, name, steps, skew));
        let served: u64 = served.collect::<Vec<_>>().into_iter().sum();
        let end = START + SCRAPE_MS * longest as u64;
        let (mut cursor, mut counted) = (START, 0);
        source.now = START + source.behind;
        let mut ticks = ticks.into_iter();
        while cursor < end {
            // In the end everything is seen.
            source.now = match ticks.next() {
                Some(tick) => (source.now + tick * 1_000).min(end + source.behind),
                None => end + source.behind,
            };
            // A source that finds no fresh router consumes nothing: the next window is longer.
            match block(counts(&source, &want(0), cursor, source.upto())) {
                Ok(raw) => {
                    prop_assert_eq!((raw.from, raw.to), (cursor, source.upto().until));
                    prop_assert_eq!(raw.untold.clone(), None);
                    counted += total(&raw);
                    cursor = raw.to;
                }
                Err(untold) => {
                    prop_assert_eq!(untold.trouble, Trouble::Stale);
                    prop_assert!(source.now < end + source.behind);
                }
            }
        }
        prop_assert_eq!(counted, served);
    }
}

#[test]
fn a_base_is_looked_for_further_back_than_two_scrapes() {
    let mut source = source();
    source.now = START + 100_000;
    scraped(&mut source, START);
    // Its samples were missed for a minute around the cursor.
    source.add(ERROR, &[(START, 7.0), (START + 65_000, 9.0)]);
    let raw = block(counts(&source, &want(1), START + 40_000, source.upto())).unwrap();
    assert_eq!((total(&raw), raw.untold), (2, None));
}

#[test]
fn what_no_base_is_known_of_is_said() {
    let mut source = source();
    source.now = START + 2_000_000;
    scraped(&mut source, START);
    source.add(
        ERROR,
        &[
            (START, 7.0),
            (START + 1_965_000, 9.0),
            (START + 1_970_000, 10.0),
        ],
    );
    let raw = block(counts(&source, &want(1), START + 1_940_000, source.upto())).unwrap();
    assert_eq!(
        (total(&raw), raw.untold.unwrap().trouble),
        (1, Trouble::Partial)
    );
}

#[test]
fn an_outage_of_the_source_is_one_long_window() {
    let mut source = source();
    let hour = 3_600_000;
    source.now = START + 100_000;
    scraped(&mut source, START);
    let before = source.series.pop().unwrap();
    source.now = START + hour + 60_000;
    scraped(&mut source, START + hour);
    source.series[0].samples.splice(0..0, before.samples);
    source.add(
        ERROR,
        &[
            (START + 95_000, 7.0),
            (START + 100_000, 9.0),
            (START + hour, 30.0),
            (START + hour + 5_000, 31.0),
        ],
    );
    let raw = block(counts(&source, &want(1), START + 95_000, source.upto())).unwrap();
    assert_eq!((total(&raw), raw.untold), (24, None));
}

#[test]
fn what_is_too_long_ago_is_skipped_and_said() {
    let mut source = source();
    let day = 86_400_000;
    source.now = START + day;
    scraped(&mut source, START + day - 600_000);
    source.add(
        ERROR,
        &[
            (START, 7.0),
            (START + day - 60_000, 9.0),
            (START + day - 50_000, 12.0),
        ],
    );
    let raw = block(counts(&source, &want(1), START, source.upto())).unwrap();
    assert_eq!((total(&raw), raw.from), (3, START));
    let untold = raw.untold.unwrap();
    assert_eq!(untold.trouble, Trouble::Partial);
    assert_eq!(untold.why, "71990 s were too long ago to be counted");
}

#[test]
fn a_cursor_ahead_of_the_source_leaves_the_gauges() {
    let mut source = source();
    source.now = START + 100_000;
    scraped(&mut source, START);
    source.add(ERROR, &[(START, 7.0), (START + 85_000, 9.0)]);
    let open = "serin_breaker_state{job=r,instance=a:1,route=chat,target=claude,state=open}";
    source.add(open, &[(START + 85_000, 1.0)]);
    let raw = block(counts(&source, &want(1), START + 95_000, source.upto())).unwrap();
    assert_eq!(
        (total(&raw), raw.gauges.fresh, raw.gauges.breaker_open),
        (0, 1, 1)
    );
}

#[test]
fn a_pair_of_servers_is_ambiguous_and_consumes_nothing() {
    let mut source = source();
    source.now = START + 100_000;
    scraped(&mut source, START);
    source.add(ERROR, &[(START + 80_000, 7.0), (START + 85_000, 9.0)]);
    let mut replica = source.series[1].clone();
    replica.labels.insert("replica".to_owned(), "b".to_owned());
    source.series.push(replica);
    let told = block(counts(&source, &want(1), START + 80_000, source.upto())).unwrap_err();
    assert_eq!(told.trouble, Trouble::Ambiguous);
}
