//! A provider's stream as it goes to the caller: whole events, as they came, but for one frame.
//!
//! Before the commit every event is read; after it, events are only searched for the few words that
//! matter. Always: nothing is written again. The usage frame that the caller did not ask for is left
//! out; what follows the terminator is dropped; an error of the provider's is passed on and is the
//! last thing that is.

use std::{collections::VecDeque, ops::Range, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use serin_proto::metric::Operation;

use crate::provider::{
    content::{self, Seen},
    failure::Failure,
    sse::{Event, Splitter, Whole},
    usage::{self, Usage},
};

/// Terminators that can stand in an event; without one of these words it has none.
static DONE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[DONE]"));
static RESPONSE_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("response."));

/// One stream of one attempt.
#[derive(Debug)]
pub(crate) struct Events {
    operation: Operation,
    splitter: Splitter,
    /// We asked for usage and the caller did not: its frame is ours.
    strip_usage: bool,
    pub(crate) usage: Option<Usage>,
    /// The terminator went by.
    pub(crate) done: bool,
    /// The provider said that it failed.
    pub(crate) failed: bool,
    /// Events handed on so far.
    pub(crate) count: u64,
}

impl Events {
    pub(crate) fn new(operation: Operation, strip_usage: bool) -> Self {
        Self {
            operation,
            splitter: Splitter::default(),
            strip_usage,
            usage: None,
            done: false,
            failed: false,
            count: 0,
        }
    }

    /// Before the commit: reads every event. `true`: one of them is content.
    ///
    /// # Errors
    /// When an event says or is a failure: nothing has gone out, another target may answer.
    pub(crate) fn preamble(
        &mut self,
        chunk: Bytes,
        out: &mut VecDeque<Bytes>,
    ) -> Result<bool, Failure> {
        let whole = self.split(chunk)?;
        let mut commits = false;
        for event in whole.opened() {
            match content::see(self.operation, &event) {
                Seen::Content | Seen::Done => commits = true,
                Seen::Preamble => {}
                // After content in the same read it is the caller's to see.
                Seen::Error | Seen::Garbage if commits => break,
                Seen::Error => return Err(Failure::StreamError),
                Seen::Garbage => return Err(Failure::BadResponse("event")),
            }
        }
        self.hand_on(&whole, out);
        Ok(commits)
    }

    /// After the commit: the bytes of whole events go on at once.
    ///
    /// # Errors
    /// When an event is longer than any may be.
    pub(crate) fn flow(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), Failure> {
        let whole = self.split(chunk)?;
        self.hand_on(&whole, out);
        Ok(())
    }

    /// The provider's bytes have ended. Fine only behind the terminator, or where there is none.
    pub(crate) fn ended_well(&self) -> bool {
        let whole = !self.splitter.finish();
        !self.failed && (self.done || (whole && !content::has_terminator(self.operation)))
    }

    fn split(&mut self, chunk: Bytes) -> Result<Whole, Failure> {
        self.splitter
            .push(chunk)
            .map_err(|_| Failure::BadResponse("event too long"))
    }

    fn hand_on(&mut self, whole: &Whole, out: &mut VecDeque<Bytes>) {
        if self.done || self.failed || whole.bytes.is_empty() {
            return;
        }
        let mentions = content::mentions(&whole.bytes);
        let may_end = match self.operation {
            Operation::Responses => RESPONSE_END.find(&whole.bytes).is_some(),
            _ => DONE.find(&whole.bytes).is_some(),
        };
        if !(mentions.usage || mentions.error || may_end) {
            self.count += whole.events().count() as u64;
            out.push_back(whole.bytes.clone());
            return;
        }
        let mut from = 0;
        for range in whole.events() {
            let Some(event) = whole.bytes.get(range.clone()) else {
                continue;
            };
            if self.is_ours(event) {
                push(&whole.bytes, from..range.start, out);
                from = range.end;
                continue;
            }
            self.count += 1;
            if self.done || self.failed {
                push(&whole.bytes, from..range.end, out);
                return;
            }
        }
        push(&whole.bytes, from..whole.bytes.len(), out);
    }

    /// Learns what an event says; `true`: it exists only because we asked for it.
    fn is_ours(&mut self, bytes: &[u8]) -> bool {
        let event = Event::new(bytes);
        let mentions = content::mentions(bytes);
        if mentions.error && content::see(self.operation, &event) == Seen::Error {
            self.failed = true;
        }
        let Some(data) = event.data() else {
            return false;
        };
        self.done |= content::is_done(self.operation, &data);
        if !mentions.usage {
            return false;
        }
        self.usage = usage::reported(&data).or(self.usage);
        self.strip_usage && content::usage_only(&data)
    }
}

fn push(bytes: &Bytes, range: Range<usize>, out: &mut VecDeque<Bytes>) {
    if let Some(part) = bytes.get(range).filter(|part| !part.is_empty()) {
        out.push_back(bytes.slice_ref(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str =
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}],\"usage\":null}\n\n";
    const WORD: &str =
        "data: {\"choices\":[{\"delta\":{\"content\":\"an error?\"}}],\"usage\":null}\n\n";
    const USAGE: &str =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";
    const ERROR: &str = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";

    fn flow(strip: bool, text: &str) -> (Events, String) {
        let mut events = Events::new(Operation::Chat, strip);
        let mut out = VecDeque::new();
        events
            .flow(Bytes::copy_from_slice(text.as_bytes()), &mut out)
            .unwrap();
        let sent: Vec<u8> = out.iter().flatten().copied().collect();
        (events, String::from_utf8(sent).unwrap())
    }

    #[test]
    fn only_the_frame_we_asked_for_is_left_out() {
        let all = [ROLE, WORD, USAGE, DONE].concat();
        let (events, sent) = flow(true, &all);
        assert_eq!(sent, [ROLE, WORD, DONE].concat());
        assert_eq!(
            events.usage.map(|usage| (usage.input, usage.output)),
            Some((3, 2))
        );
        assert!(events.done && events.ended_well());
        assert_eq!(flow(false, &all).1, all, "asked for by the caller");
    }

    #[test]
    fn what_follows_the_terminator_is_dropped() {
        let (events, sent) = flow(false, &[WORD, DONE, WORD, "junk"].concat());
        assert_eq!(sent, [WORD, DONE].concat());
        assert!(events.ended_well());
    }

    #[test]
    fn an_error_in_the_stream_is_passed_on_and_ends_it() {
        let (events, sent) = flow(true, &[WORD, ERROR, WORD, DONE].concat());
        assert_eq!(sent, [WORD, ERROR].concat());
        assert!(events.failed && !events.ended_well());
    }

    #[test]
    fn without_its_terminator_a_stream_did_not_end_well() {
        assert!(!flow(false, &[ROLE, WORD].concat()).0.ended_well());
    }

    #[test]
    fn an_error_before_the_first_content_is_a_failure_and_after_it_is_not() {
        let preamble = |text: &str| {
            let mut out = VecDeque::new();
            Events::new(Operation::Chat, false)
                .preamble(Bytes::copy_from_slice(text.as_bytes()), &mut out)
        };
        assert_eq!(preamble(ROLE), Ok(false));
        assert_eq!(preamble(&[ROLE, WORD].concat()), Ok(true));
        assert_eq!(preamble(&[ROLE, ERROR].concat()), Err(Failure::StreamError));
        assert_eq!(preamble(&[WORD, ERROR].concat()), Ok(true));
        assert_eq!(
            preamble("data: nonsense\n\n"),
            Err(Failure::BadResponse("event"))
        );
    }
}
