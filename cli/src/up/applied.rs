//! The file of `serin up`, applied as `serin apply` would.
//!
//! At start a refusal ends the process; afterwards it is told and changes nothing. What is refused
//! for a reason that passes is tried again.

use std::{collections::VecDeque, path::Path, time::Duration};

use serin_control_plane::{Applied, Applier, Apply, KeptTraffic, Refusal};
use serin_proto::{document::Document, v1};
use serin_store::file::Unusable;
use tokio::{sync::mpsc, time::sleep};

use crate::{
    bundle::{Bundle, Located, Placed},
    exit::Failed,
    traffic_words,
    tree::Tree,
};

/// First and longest pause before a file that was refused for a passing reason is tried again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Applies versions of one file.
pub(super) struct FileApplier {
    pub(super) applier: Applier,
    /// Who is named in the audit records: `file:PATH`.
    actor: String,
}

/// Why a version was not applied, or not all of it.
struct Refused {
    located: Vec<Located>,
    refusal: Refusal,
}

impl FileApplier {
    pub(super) fn new(applier: Applier, path: &Path) -> Self {
        Self {
            applier,
            actor: format!("file:{}", path.display()),
        }
    }

    /// # Errors
    /// Whatever keeps the file from being applied, with file, line and column.
    pub(super) async fn at_start(&self, bundle: &Bundle) -> Result<(), Failed> {
        self.apply(bundle).await.map_err(|refused| {
            if refused.located.is_empty() {
                return Failed::because(format!("{}: {}", self.actor, refused.refusal));
            }
            let lines: Vec<String> = refused.located.iter().map(ToString::to_string).collect();
            Failed::because(lines.join("\n"))
        })
    }

    /// Applies what is seen until nobody looks any more.
    pub(super) async fn follow(self, mut versions: mpsc::Receiver<Result<Bundle, Unusable>>) {
        let mut waiting: Option<Bundle> = None;
        let mut pause = PAUSES[0];
        loop {
            let (version, next) = tokio::select! {
                version = versions.recv() => (version, PAUSES[0]),
                () = sleep(pause), if waiting.is_some() => {
                    (waiting.take().map(Ok), (pause * 2).min(PAUSES[1]))
                }
            };
            pause = next;
            match version {
                None => return,
                Some(Ok(bundle)) => {
                    waiting = self.tell(&bundle).await.then_some(bundle);
                }
                Some(Err(unusable)) => {
                    waiting = None;
                    tell_unusable(&unusable);
                }
            }
        }
    }

    /// Applies, and logs a refusal. Whether to try the same again.
    async fn tell(&self, bundle: &Bundle) -> bool {
        let Err(refused) = self.apply(bundle).await else {
            return false;
        };
        for located in &refused.located {
            tracing::error!(fault = %located, code = located.code, "document fault");
        }
        let again = is_passing(&refused.refusal);
        let (why, code) = (&refused.refusal, refused.refusal.code());
        tracing::error!(%why, code, again, "the file was refused: what the store has goes on");
        again
    }

    /// Each part is all or nothing.
    async fn apply(&self, bundle: &Bundle) -> Result<(), Refused> {
        for warning in &bundle.warnings {
            tracing::warn!(%warning, "document accepted with a warning");
        }
        if bundle.rollouts > 0 {
            tracing::warn!(
                rollouts = bundle.rollouts,
                "rollouts are not applied: one is started"
            );
        }
        let mut waiting: VecDeque<&[Placed]> = bundle.parts().into();
        while let Some(part) = waiting.pop_front() {
            let how = Apply {
                traffic: false,
                dry_run: false,
                reason: String::new(),
            };
            match self.applier.apply(&self.actor, &file(part), how).await {
                Ok(applied) => report(&applied, bundle, part),
                // The change's own record must fit too, and how large it gets is not known here.
                Err(Refusal::TooLarge(_)) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.push_front(second);
                    waiting.push_front(first);
                }
                Err(refusal) => {
                    let locate = |fault: &serin_proto::Fault| {
                        bundle.locate(part, (&fault.pointer, fault.code, &fault.message))
                    };
                    let located = refusal.faults().iter().map(locate).collect();
                    return Err(Refused { located, refusal });
                }
            }
        }
        Ok(())
    }
}

/// Whether the same file may be taken later: it is the store that refused, not the rules.
fn is_passing(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Conflict
            | Refusal::Internal(_)
            | Refusal::OutcomeUnknown { .. }
            | Refusal::StoreFull
            | Refusal::StoreUnavailable(_)
    )
}

fn tell_unusable(unusable: &Unusable) {
    match unusable {
        Unusable::Faulty(faults) => {
            for fault in faults {
                tracing::error!(%fault, code = fault.code, "document fault");
            }
        }
        why @ Unusable::Unreadable { .. } => tracing::error!(%why, "the file cannot be read"),
    }
    tracing::error!("the file was refused: what the store has goes on");
}

fn report(applied: &Applied, bundle: &Bundle, part: &[Placed]) {
    for kept in &applied.traffic_kept {
        tell_kept(kept);
    }
    for notice in &applied.warnings {
        let warning = bundle.locate(part, (&notice.pointer, &notice.code, &notice.message));
        if bundle.tells(&warning) {
            continue;
        }
        tracing::warn!(%warning, code = notice.code, "document accepted with a warning");
    }
    if !applied.changes.is_empty() {
        let documents = applied.changes.len();
        tracing::info!(revision = %applied.revision, documents, "documents of the file applied");
    }
}

fn tell_kept(kept: &KeptTraffic) {
    let tree = |json: &serde_json::Value| serde_json::from_value(json.clone()).unwrap_or_default();
    let (live, written): (Tree, Tree) = (tree(&kept.live), tree(&kept.written));
    tracing::warn!(
        route = kept.route,
        live = traffic_words::summary(&live),
        written = traffic_words::summary(&written),
        to_take_it = format!(
            "serin apply --traffic -f FILE, or {}",
            traffic_words::command(&kept.route, &live, &written)
        ),
        "the file's traffic differs from the live one, which goes on"
    );
}

fn file(part: &[Placed]) -> v1::File {
    let mut file = v1::File::default();
    for placed in part {
        match placed.document.clone() {
            Document::Provider(provider) => file.providers.push(provider),
            Document::Tier(tier) => file.tiers.push(tier),
            Document::Route(route) => file.routes.push(route),
            Document::Key(key) => file.keys.push(key),
        }
    }
    file
}
