//! A script being performed: its models, ready to answer, and how often each was asked.
//!
//! Each model counts its own requests, so what one draws does not depend on what others are asked.
//! Names that no script mentions share one count: they are one model under many names.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::answer::Act;
use crate::script::{Model, Script};

/// Unmentioned names whose answers are kept ready. Others are made ready for each request.
const OTHERS_MAX: usize = 1_024;

/// A script in performance. Replaced as a whole.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) script: Script,
    named: HashMap<String, Part>,
    others: RwLock<HashMap<String, Arc<Act>>>,
    others_asked: AtomicU64,
}

#[derive(Debug)]
struct Part {
    act: Arc<Act>,
    asked: AtomicU64,
}

impl Stage {
    pub(crate) fn new(script: Script) -> Self {
        let part = |(name, model): (&String, &Model)| {
            let act = Arc::new(Act::new(name, model, &script));
            (
                name.clone(),
                Part {
                    act,
                    asked: AtomicU64::new(0),
                },
            )
        };
        let named = script.models.iter().map(part).collect();
        let (others, others_asked) = (RwLock::default(), AtomicU64::new(0));
        Self {
            script,
            named,
            others,
            others_asked,
        }
    }

    /// Who answers for `model`, and the number of this request. None: nobody, under `strict`.
    pub(crate) fn next(&self, model: &str) -> Option<(Arc<Act>, u64)> {
        if let Some(part) = self.named.get(model) {
            return Some((
                Arc::clone(&part.act),
                part.asked.fetch_add(1, Ordering::Relaxed),
            ));
        }
        if self.script.strict {
            return None;
        }
        Some((
            self.other(model),
            self.others_asked.fetch_add(1, Ordering::Relaxed),
        ))
    }

    /// Whether anybody would answer for `model`.
    pub(crate) fn knows(&self, model: &str) -> bool {
        !self.script.strict || self.named.contains_key(model)
    }

    fn other(&self, model: &str) -> Arc<Act> {
        let kept = self.others.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(act) = kept.get(model) {
            return Arc::clone(act);
        }
        let full = kept.len() >= OTHERS_MAX;
        drop(kept);
        let act = Arc::new(Act::new(model, &self.script.default, &self.script));
        if !full {
            let mut kept = self.others.write().unwrap_or_else(PoisonError::into_inner);
            kept.insert(model.to_owned(), Arc::clone(&act));
        }
        act
    }
}
