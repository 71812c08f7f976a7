//! One leader after the other, each told where to die.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use serde_json::Value;
use serin_tests::ControlPlane;
use serin_tests::client::Answer;
use serin_tests::eventually;
use serin_tests::rollouts::record::transitions;
use tokio::time::Instant;

use crate::stage::Stage;

const SIGKILL: i32 = 9;
/// A rollout comes to the next place within so long.
const COMES_WITHIN: Duration = Duration::from_secs(60);
/// Lease, jitter, two ticks (reliability.md B16: 10 s + 2 s, and two ticks of a second).
pub(crate) const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(14);

/// A leader and who stands by, and the places of those that follow.
pub(crate) struct Succession<'a> {
    pub(crate) stage: &'a Stage,
    /// It leads.
    pub(crate) front: ControlPlane,
    /// It stands by.
    pub(crate) next: ControlPlane,
    points: VecDeque<String>,
    begun: usize,
    /// The route whose history is looked at when a leader dies.
    pub(crate) route: String,
    /// How long nobody led, each time that a lease ended by itself.
    pub(crate) gaps: Vec<Duration>,
}

/// How the leader's lease ends after its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// By itself, as in life.
    Expires,
    /// At once, by our hand: what follows is the same, only sooner.
    Revoked,
}

impl<'a> Succession<'a> {
    /// Two planes: the first leads and dies at the first place, the second at the second one.
    pub(crate) async fn begin(stage: &'a Stage, points: &[String]) -> Self {
        let mut points: VecDeque<String> = points.iter().cloned().collect();
        let front = born(stage, 0, points.pop_front()).await;
        stage.store.is_led_by(&front, crate::stage::SOON).await;
        let next = born(stage, 1, points.pop_front()).await;
        Self {
            stage,
            front,
            next,
            points,
            begun: 2,
            route: String::new(),
            gaps: Vec::new(),
        }
    }

    /// Waits for the leader's death at its place, and until the other leads.
    pub(crate) async fn dies(&mut self, at: &str, lease: Lease) {
        let front = &mut self.front;
        let look = async || (front.process.ended(), front.tail());
        let died = |seen: &(Option<std::process::ExitStatus>, String)| seen.0.is_some();
        let promise = format!("the leader dies at {at}");
        let (status, log) = eventually(&promise, COMES_WITHIN, look, died).await;
        assert_eq!(
            status.and_then(|status| status.signal()),
            Some(SIGKILL),
            "{log}"
        );
        let (part, point) = at.split_once('.').expect("a part and a point");
        assert!(
            log.contains("failpoint") && log.contains(part) && log.contains(point),
            "{log}"
        );
        let number = part.strip_prefix('t').unwrap_or_default();
        if number.starts_with(|c: char| c.is_ascii_digit()) {
            let done = transitions(&self.stage.store.history(&self.route).await);
            let is_made = done.last().is_some_and(|newest| newest == part);
            assert_eq!(
                is_made,
                point == "after",
                "dead at {at}, and the history is {done:?}"
            );
        }
        self.succeeds(lease).await;
    }

    /// Ends the leader from outside.
    pub(crate) async fn is_killed(&mut self) {
        self.front.process.kill().await;
        self.succeeds(Lease::Revoked).await;
    }

    async fn succeeds(&mut self, lease: Lease) {
        let since = Instant::now();
        if lease == Lease::Revoked {
            self.stage.store.vacate().await;
        }
        self.stage
            .store
            .is_led_by(&self.next, TAKEN_OVER_WITHIN)
            .await;
        if lease == Lease::Expires {
            self.gaps.push(since.elapsed());
        }
        let new = born(self.stage, self.begun, self.points.pop_front()).await;
        self.begun += 1;
        self.front = std::mem::replace(&mut self.next, new);
    }

    /// Asks the leader for something by which it dies; the next one is asked the same and answers.
    pub(crate) async fn asked_again(&mut self, at: &str, path: &str, body: &Value) -> Answer {
        let key = format!("the-key-of-{at}");
        let lost = self.front.post(path, body, &key).await;
        let lost = lost.map(|answer| answer.text());
        assert!(
            lost.is_none(),
            "it was to die at {at}: {lost:?}\n{}",
            self.front.tail()
        );
        self.dies(at, Lease::Revoked).await;
        let answer = self.front.post(path, body, &key).await;
        answer.unwrap_or_else(|| panic!("no answer to {path}\n{}", self.front.tail()))
    }
}

async fn born(stage: &Stage, n: usize, point: Option<String>) -> ControlPlane {
    let launch = stage.launch();
    let launch = match point {
        Some(point) => launch.dies_at(&point),
        None => launch,
    };
    stage.plane(&format!("plane-{n}"), &launch).await
}
