//! A metrics source whose questions are counted and timed; nothing else about it differs.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Metrics;
use crate::{
    analysis::{
        raw::Raw,
        reader::{Asked, Horizon, SampleReader, Want},
        sample::{Answered, Millis, Trouble, Untold},
    },
    clock,
};

/// A source and who counts what it is asked.
#[derive(Debug)]
pub(crate) struct Questioned {
    source: Arc<dyn SampleReader>,
    metrics: Arc<Metrics>,
}

impl Questioned {
    /// `source`, measured from now on.
    pub(crate) fn wrap(
        source: Arc<dyn SampleReader>,
        metrics: Arc<Metrics>,
    ) -> Arc<dyn SampleReader> {
        Arc::new(Self { source, metrics })
    }

    /// Waits for an answer. `trouble` says what is wrong with one that came.
    fn timed<'a, T: Send + 'a>(
        &'a self,
        question: Asked<'a, T>,
        trouble: fn(&T) -> Option<Trouble>,
    ) -> Asked<'a, T> {
        Box::pin(async move {
            let begun = clock::now();
            let answer = question.await;
            let took = clock::now().saturating_duration_since(begun);
            let trouble = match &answer {
                Ok(told) => trouble(told),
                Err(untold) => Some(untold.trouble),
            };
            self.metrics.query(took, trouble);
            answer
        })
    }
}

impl SampleReader for Questioned {
    fn now(&self) -> Asked<'_, Millis> {
        self.timed(self.source.now(), |_| None)
    }

    fn horizon<'a>(&'a self, want: &'a Want) -> Asked<'a, Horizon> {
        self.timed(self.source.horizon(want), |_| None)
    }

    fn counts<'a>(&'a self, want: &'a Want, after: Millis, upto: Horizon) -> Asked<'a, Raw> {
        let partly = |raw: &Raw| raw.untold.as_ref().map(|untold: &Untold| untold.trouble);
        self.timed(self.source.counts(want, after, upto), partly)
    }

    fn scalar<'a>(&'a self, promql: &'a str, at: Millis) -> BoxFuture<'a, Answered> {
        Box::pin(async move {
            let begun = clock::now();
            let answer = self.source.scalar(promql, at).await;
            let took = clock::now().saturating_duration_since(begun);
            self.metrics.query(took, objection(&answer));
            answer
        })
    }

    fn takes_queries(&self) -> bool {
        self.source.takes_queries()
    }
}

/// What is wrong with the answer to somebody's own query. A query that is wrong by itself must not
/// make the source look as if it were away.
fn objection(answer: &Answered) -> Option<Trouble> {
    match answer {
        Answered::Value(_) => None,
        Answered::Nothing => Some(Trouble::Empty),
        Answered::Error(why) => {
            let says = |trouble: &Trouble| {
                let rest = why.strip_prefix(trouble.as_str());
                rest.is_some_and(|rest| rest.starts_with(':'))
            };
            let away = [Trouble::Connect, Trouble::Timeout].into_iter().find(says);
            Some(away.unwrap_or(Trouble::Ambiguous))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_source_that_does_not_answer_is_away() {
        let untold = |trouble| {
            let why = "after 5 s".to_owned();
            Answered::Error(Untold { trouble, why }.to_string())
        };
        let table = [
            (Answered::Value(1.0), None),
            (Answered::Nothing, Some(Trouble::Empty)),
            (untold(Trouble::Timeout), Some(Trouble::Timeout)),
            (untold(Trouble::Connect), Some(Trouble::Connect)),
            (untold(Trouble::Http), Some(Trouble::Ambiguous)),
            (
                Answered::Error("the value is inf".to_owned()),
                Some(Trouble::Ambiguous),
            ),
        ];
        for (answer, trouble) in table {
            assert_eq!(objection(&answer), trouble, "{answer:?}");
        }
    }
}
