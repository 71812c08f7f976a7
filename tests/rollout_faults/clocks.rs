//! RO28: clocks that lie. A leader's wall clock is an hour off, and the next one's an hour the other
//! way; the Prometheus' jumps two minutes ahead, and two back.
//!
//! A small library in front of libc's moves the wall clock of one program and leaves its monotonic
//! clock alone, as a bad time server does.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use serin_tests::ControlPlane;
use serin_tests::World;
use serin_tests::rollouts::record::{events, transitions};
use serin_tests::rollouts::{State, number, verifies};
use serin_tests::scripted_prometheus::Pace;
use tokio::process::Command;
use tokio::time::Instant;

use crate::history;
use crate::stage::{PACE, SOON, Stage, plan, start};

const ENDS_WITHIN: Duration = Duration::from_secs(90);
/// The first step of these lasts so long, by the Prometheus.
const FIRST_MS: u64 = 32_000;

const SHIFTED: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    const char *by = getenv("STORY_CLOCK_SECONDS");
    if (!failed && by && clock == CLOCK_REALTIME) now->tv_sec += atol(by);
    return failed;
}
"#;

/// Builds that library.
async fn shifted_clock(world: &World) -> PathBuf {
    let source = world.write("clock.c", SHIFTED);
    let library = world.path("clock.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .await
        .expect("there is a C compiler");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    library
}

/// Two with wall clocks that are so many seconds off; the first leads. They have a route.
async fn planes_off_by(stage: &Stage, seconds: [&str; 2]) -> [ControlPlane; 2] {
    let library = shifted_clock(&stage.world).await;
    let library = library.to_string_lossy().into_owned();
    let launches = seconds.map(|by| {
        let launch = stage.launch().with("LD_PRELOAD", &library);
        launch.with("STORY_CLOCK_SECONDS", by)
    });
    let first = stage.plane("first", &launches[0]).await;
    stage.store.is_led_by(&first, SOON).await;
    let second = stage.plane("second", &launches[1]).await;
    stage.route(&second.admin(), "chat").await;
    [first, second]
}

/// The leader dies, and the other leads.
async fn is_followed_by(stage: &Stage, leader: &mut ControlPlane, other: &ControlPlane) {
    leader.process.kill().await;
    stage.store.vacate().await;
    stage.store.is_led_by(other, SOON).await;
}

fn stepped() -> Value {
    let mut plan = plan(&[5, 50], &json!({"promotion": {"bake": "4s"}}));
    plan["steps"][0]["minDuration"] = json!(format!("{FIRST_MS}ms"));
    plan
}

/// RO28: the leader's.
pub(crate) async fn a_leaders_wall_clock_decides_nothing() {
    let stage = Stage::start().await;
    let [mut early, late] = planes_off_by(&stage, ["-3600", "3600"]).await;
    let chat = start(&early.admin(), "chat", &stepped()).await;
    stage.store.until_judged("chat", SOON * 2).await;
    let said = stage.store.history("chat").await;
    let hour = |record: &Value| record["at"].as_str().map(|at| at[..13].to_owned());
    let before = said.first().and_then(hour);

    // A pause is not cut by the hours between them.
    chat.does("pause", &json!({})).await;
    is_followed_by(&stage, &mut early, &late).await;
    let paused = stage.store.state("chat").await;
    let ticked = |state: &State| {
        state.0["clocks"]["pausedMs"] != paused.0["clocks"]["pausedMs"]
            && state.0["cursorMs"] != paused.0["cursorMs"]
    };
    let state = stage
        .store
        .until(("chat", "the late one ticks"), SOON, ticked)
        .await;
    assert!(state.is_paused_for("User"), "{state:?}");
    chat.at(late.admin()).does("resume", &json!({})).await;

    stage.store.until_ended("chat", ENDS_WITHIN).await;
    let records = stage.store.sound_history("chat").await;
    let whole = [
        "t1", "t2", "t5", "t6", "t22", "t14", "t7", "t6", "t17", "t6", "t18",
    ];
    assert_eq!(transitions(&records), whole);
    let after = records.last().and_then(hour);
    assert!(
        before.is_some() && before != after,
        "no clock was moved: {before:?} {after:?}"
    );
    for event in events(&records) {
        let elapsed = number(&event["event"]["tick"]["elapsedMs"]);
        assert!(elapsed <= 2_000, "a tick of {elapsed} ms");
    }
    let state = stage.store.state("chat").await;
    assert_eq!(state.phase(), "Succeeded");
}

/// RO28: a step is as long as was asked for, and at most two ticks longer, whoever leads.
pub(crate) async fn a_step_is_as_long_as_it_should_be_whatever_the_wall_clocks_say() {
    let stage = Stage::start().await;
    let [mut late, early] = planes_off_by(&stage, ["3600", "-3600"]).await;
    start(&late.admin(), "chat", &stepped()).await;
    stage.store.until_judged("chat", SOON * 2).await;
    is_followed_by(&stage, &mut late, &early).await;
    stage.store.until_ended("chat", ENDS_WITHIN).await;
    let records = stage.store.sound_history("chat").await;
    assert_eq!(
        transitions(&records),
        ["t1", "t2", "t5", "t6", "t7", "t6", "t17", "t6", "t18"]
    );
    let step = history::judged_ms(&records)[0];
    // A tick is a second of ours, jitter and reading included.
    let tick = PACE.speed * 1_250;
    assert!(
        (FIRST_MS..=FIRST_MS + 2 * tick).contains(&step),
        "{step} ms of {FIRST_MS}"
    );
}

/// Twenty seconds of the Prometheus in one of ours: two minutes are six.
const QUICK: Pace = Pace {
    speed: 20,
    scrape_ms: 2_000,
    kept: 900,
};
const TWO_MINUTES_MS: u64 = 120_000;

/// A step of two minutes within which the Prometheus' clock jumps, lasts as long as one without.
async fn jumps(by_ms: i64) {
    let stage = Stage::at(QUICK).await;
    let planes = stage.two_planes().await;
    stage.route(&planes[0].admin(), "chat").await;
    let mut plan = stepped();
    plan["steps"][0]["minDuration"] = json!("120s");
    start(&planes[0].admin(), "chat", &plan).await;
    let before = stage.store.until_judged("chat", SOON * 2).await;
    let judged_ms = number(&before.0["clocks"]["exposureMs"]);
    let began = Instant::now();
    stage.prometheus.shift(by_ms);
    let second = |state: &State| state.step() == Some(1);
    let promise = ("chat", "its first step is over");
    stage.store.until(promise, ENDS_WITHIN, second).await;
    let passed_ms = began.elapsed().as_millis() as u64 * QUICK.speed;
    let tick_ms = 1_100 * QUICK.speed;
    let least_ms = TWO_MINUTES_MS - judged_ms - tick_ms;
    assert!(
        passed_ms >= least_ms,
        "by {by_ms} ms: {passed_ms} ms of {least_ms}: {before:?}"
    );

    let state = stage.store.until_ended("chat", ENDS_WITHIN).await;
    assert_eq!(state.phase(), "Succeeded", "{state:?}");
    stage.store.sound_history("chat").await;
    verifies(planes[0].api, "chat").await;
}

/// RO28: the Prometheus'. Windows follow it and never meet; no step gets shorter by a jump.
pub(crate) async fn windows_follow_a_prometheus_that_jumps_and_no_step_gets_shorter() {
    tokio::join!(jumps(120_000), jumps(-120_000));
}
