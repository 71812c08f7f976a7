//! Who judges: the statistics of `analysis`, or in tests a script. Pure.

use crate::{
    analysis::{
        evidence::Analysis,
        judge::{self, Judged, Stand},
        sample::{Measured, Opening},
    },
    rollout::plan::AnalysisPlan,
};

/// What the machine asks of the analysis. An implementation is a function of its arguments.
pub(in crate::rollout) trait Analyst {
    /// An exposure begins.
    fn open(&self, plan: &AnalysisPlan, exposures: usize, analysis: &mut Analysis, at: &Opening);

    /// One window.
    fn judge(
        &self,
        plan: &AnalysisPlan,
        stand: Stand,
        analysis: &mut Analysis,
        window: (&Measured, u64),
    ) -> Judged;

    /// Whether the canary's answers have caught up with its share since the exposure began.
    fn settled(&self, analysis: &Analysis) -> bool;

    /// Another plan holds: what was seen of a metric that it defines otherwise says nothing.
    fn replan(&self, old: &AnalysisPlan, new: &AnalysisPlan, analysis: &mut Analysis);
}

/// The analysis of the product.
#[derive(Clone, Copy, Debug)]
pub(in crate::rollout) struct Statistics;

impl Analyst for Statistics {
    fn open(&self, plan: &AnalysisPlan, exposures: usize, analysis: &mut Analysis, at: &Opening) {
        judge::open(plan, exposures, analysis, at);
    }

    fn judge(
        &self,
        plan: &AnalysisPlan,
        stand: Stand,
        analysis: &mut Analysis,
        (measured, elapsed_ms): (&Measured, u64),
    ) -> Judged {
        judge::judge(plan, stand, analysis, measured, elapsed_ms)
    }

    fn settled(&self, analysis: &Analysis) -> bool {
        judge::settled(analysis)
    }

    fn replan(&self, old: &AnalysisPlan, new: &AnalysisPlan, analysis: &mut Analysis) {
        for metric in &new.metrics {
            let was = old.metrics.iter().find(|was| was.name == metric.name);
            if was.is_some_and(|was| was.test != metric.test) {
                judge::forget(analysis, &metric.name);
            }
        }
    }
}
