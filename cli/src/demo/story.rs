//! What the demo does and prints, as it happens.

use std::{cell::Cell, time::Duration};

use actix_rt::time::sleep;
use awc::http::Method;
use serde_json::Value as Json;
use serin_simulator::Simulator;
use tokio::time::Instant;

use super::{
    ROUTE, Told,
    callers::{self, Seen},
    records::{json, number, records, text},
    stage, words,
};
use crate::{
    args::remote::Server,
    client::{Api, Call},
    exit::Failed,
    output,
};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same while it measures.
const MEASURE_EVERY: Duration = Duration::from_millis(10);
/// Traffic before the rollout begins: there must be something to compare with.
const BEFORE: Duration = Duration::from_secs(5);
/// Longest wait for the end of a rollout.
const ROLLOUT_MAX: Duration = Duration::from_secs(600);
/// Longest wait for the answers of the last requests.
const QUIET_MAX: Duration = Duration::from_secs(30);
/// How often it is told where the rollout stands while nothing else happens.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// From the first answer to the end of the rollout. What goes wrong is told, and the demo goes on
/// serving.
pub(super) async fn tell(told: &Told, simulator: &Simulator, seen: Seen) {
    introduce(told).await;
    let (router, key) = (told.at.traffic, told.key.secret.clone());
    let calling = seen.clone();
    actix_rt::spawn(async move { callers::call(router, &key, calling).await });
    let story = Story::new(told, simulator, seen);
    let ended = match story {
        Ok(mut story) => story.play().await,
        Err(failed) => Err(failed),
    };
    if let Err(failed) = ended {
        output::note(format_args!(
            "\nThe demo's rollout could not be followed: {failed}"
        ));
    }
    output::line(format_args!(
        "\nIt goes on serving. Stop with Ctrl-C.\nWith a provider of your own: serin up --config serin.yaml"
    ));
}

struct Story<'a> {
    told: &'a Told,
    simulator: &'a Simulator,
    api: Api,
    admin: awc::Client,
    seen: Seen,
    begun: Instant,
    /// When something was told last.
    told_at: Cell<Instant>,
    /// Records printed so far, by their number.
    seq: u64,
    /// When the candidate began to fail.
    broke: Option<Instant>,
}

impl<'a> Story<'a> {
    fn new(told: &'a Told, simulator: &'a Simulator, seen: Seen) -> Result<Self, Failed> {
        let server = Server {
            server: format!("http://{}", told.at.api),
            token: Some(told.token.secret.clone()),
        };
        Ok(Self {
            told,
            simulator,
            api: Api::new(&server)?,
            admin: awc::Client::default(),
            seen,
            begun: Instant::now(),
            told_at: Cell::new(Instant::now()),
            seq: 0,
            broke: None,
        })
    }

    async fn play(&mut self) -> Result<(), Failed> {
        sleep(BEFORE).await;
        let path = format!("/routes/{ROUTE}/rollouts");
        let call = Call::new(Method::POST, &path).json(stage::plan().to_string());
        let started = json(&self.api.call(&call).await.map_err(Failed::from)?.body)?;
        let id = text(&started, "rolloutId");
        self.line(&format!(
            "rollout {id} started: candidate gets 5 %, then 25, 50, all of it, if it is no worse"
        ));
        let state = self.follow(&id).await?;
        output::line("");
        match self.broke {
            Some(broke) => {
                let after = self.taken_back(broke).await?;
                output::line(format_args!(
                    "The candidate was taken back: {}.\nFrom the first failure to weight 0 in every \
                     router: {:.1} s.",
                    text(&state, "endedBecause"),
                    after.as_secs_f64()
                ));
            }
            None if text(&state, "phase") == "Succeeded" => {
                output::line(format_args!(
                    "The candidate was promoted: every step was passed on evidence."
                ));
            }
            None => output::line(format_args!(
                "The candidate was not promoted: {}.",
                text(&state, "endedBecause")
            )),
        }
        let failed = self.failed().await;
        let answered = self.seen.answered() + failed;
        output::line(format_args!(
            "Callers sent {answered} requests so far; {failed} of them failed."
        ));
        output::line(format_args!(
            "The reasons, record by record, with SERIN_SERVER and SERIN_TOKEN as above:\n"
        ));
        output::line(format_args!("  serin rollout history {ROUTE} --verify"));
        output::line(format_args!("  serin rollout explain {ROUTE}"));
        Ok(())
    }

    /// Follows a rollout to its end, and prints what happens.
    async fn follow(&mut self, id: &str) -> Result<Json, Failed> {
        let deadline = Instant::now() + ROLLOUT_MAX;
        while Instant::now() < deadline {
            self.news(id).await?;
            let state = self.get(&format!("/rollouts/{id}")).await?;
            self.break_when_due(&state)?;
            let phase = text(&state, "phase");
            if ["Succeeded", "Failed", "Aborted", "Superseded"].contains(&phase.as_str()) {
                self.news(id).await?;
                return Ok(state);
            }
            if self.told_at.get().elapsed() >= TELL_EVERY {
                let (answered, failed) = (self.seen.answered(), self.seen.failed());
                let stands = words::standing(&state);
                self.line(&format!("{stands}  ({answered} answered, {failed} failed)"));
            }
            let pause = if self.broke.is_some() {
                MEASURE_EVERY
            } else {
                LOOK_EVERY
            };
            sleep(pause).await;
        }
        Err(Failed::because(format!("no end within {ROLLOUT_MAX:?}")))
    }

    /// Prints records that are new.
    async fn news(&mut self, id: &str) -> Result<(), Failed> {
        let history = self.get(&format!("/rollouts/{id}/history")).await?;
        for record in records(history) {
            let seq = number(&record, "seq");
            if seq > self.seq {
                self.seq = seq;
                if let Some(words) = words::happened(&record) {
                    self.line(&words);
                }
            }
        }
        Ok(())
    }

    fn break_when_due(&mut self, state: &Json) -> Result<(), Failed> {
        let is_due = self.told.breaks
            && self.broke.is_none()
            && text(state, "sub") == "Analysing"
            && state.get("share").and_then(Json::as_f64) == Some(stage::BREAKS_AT);
        if is_due {
            let set = self.simulator.set_script(stage::broken());
            set.map_err(|bad| Failed::because(bad.to_string()))?;
            self.broke = Some(Instant::now());
            self.line("the candidate's provider begins to fail: every answer is a 500");
        }
        Ok(())
    }

    /// Waits until the router serves the traffic without the candidate.
    async fn taken_back(&self, broke: Instant) -> Result<Duration, Failed> {
        let deadline = Instant::now() + ROLLOUT_MAX;
        let path = format!("/routes/{ROUTE}/traffic");
        while Instant::now() < deadline {
            let answer = self.api.get(&path).await.map_err(Failed::from)?;
            let weight = json(&answer.body)?
                .pointer("/weights/candidate")
                .and_then(Json::as_f64);
            let revision = answer.revision().and_then(|text| text.parse().ok());
            if weight.unwrap_or_default() == 0.0 && self.applied().await >= revision {
                return Ok(broke.elapsed());
            }
            sleep(MEASURE_EVERY).await;
        }
        Err(Failed::because("the candidate kept its share"))
    }

    /// The revision that the router serves.
    async fn applied(&self) -> Option<u64> {
        let url = format!("http://{}/snapshot", self.told.at.admin);
        let body = self.admin.get(url).send().await.ok()?.body().await.ok()?;
        json(&body).ok()?.get("revision")?.as_u64()
    }

    /// Failures of callers, once every request that was sent has ended.
    async fn failed(&self) -> u64 {
        self.seen.stop();
        self.seen.quiet(QUIET_MAX).await;
        self.seen.failed()
    }

    async fn get(&self, path: &str) -> Result<Json, Failed> {
        let answer = self.api.get(path).await.map_err(Failed::from)?;
        json(&answer.body)
    }

    fn line(&self, words: &str) {
        let width = output::terminal().map(|(columns, _)| columns);
        let seconds = self.begun.elapsed().as_secs_f64();
        output::line(words::timed(seconds, words, width));
        self.told_at.set(Instant::now());
    }
}

/// Says how to use it, once it can be used.
async fn introduce(told: &Told) {
    let at = &told.at;
    let client = awc::Client::default();
    let is_ready = async |url: String| {
        let answer = client.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    while !(is_ready(format!("http://{}/readyz", at.admin)).await
        && is_ready(format!("http://{}/readyz", at.api)).await)
    {
        sleep(Duration::from_millis(10)).await;
    }
    output::line(words::introduction(told));
    output::line(format_args!(
        "Callers send 40 requests a second. In {} seconds a rollout begins.",
        BEFORE.as_secs()
    ));
}
