//! Which fault, if any, befalls this request; and what a fault does to an answer's bytes.
//!
//! Choosing looks at the script and the draws alone. Damaging turns a good answer into the bytes
//! and the ending that the fault means; when they are sent is `plan.rs`.

use std::time::Duration;

use memchr::memmem;

use super::ink::{Ink, stamp};
use super::plan::Stop;
use super::refusal::usual;
use super::rendered::{Event, Head, Kind, LAST_CHUNK, Mark, Rendered, error_object};
use crate::draw::{Draws, Question};
use crate::script::{
    Cut, Endless, Endlessness, ErrorInStream, Failure, Garbage, How, Model, Place, Raw, Stall,
    WrongLength,
};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault<'a> {
    Reset,
    Hang,
    Error(&'a Failure),
    Raw(&'a Raw),
    Garbage(&'a Garbage),
    Cut(&'a Cut),
    Stall(&'a Stall),
    ErrorInStream(&'a ErrorInStream),
    WrongLength(&'a WrongLength),
    Endless(&'a Endless),
}

/// The first fault of the script that means this request.
#[rustfmt::skip]
pub(super) fn choose(model: &Model, draws: Draws) -> Option<Fault<'_>> {
    use Question as Q;
    if model.reset.as_ref().is_some_and(|when| draws.hits(when, Q::Reset)) {
        return Some(Fault::Reset);
    }
    if model.hang.as_ref().is_some_and(|when| draws.hits(when, Q::Hang)) {
        return Some(Fault::Hang);
    }
    error(model, draws)
        .or_else(|| model.raw.as_ref().filter(|x| draws.hits(&x.when, Q::Raw)).map(Fault::Raw))
        .or_else(|| model.garbage.as_ref().filter(|x| draws.hits(&x.when, Q::Garbage)).map(Fault::Garbage))
        .or_else(|| model.cut.as_ref().filter(|x| draws.hits(&x.when, Q::Cut)).map(Fault::Cut))
        .or_else(|| model.stall.as_ref().filter(|x| draws.hits(&x.when, Q::Stall)).map(Fault::Stall))
        .or_else(|| model.error_in_stream.as_ref().filter(|x| draws.hits(&x.when, Q::ErrorInStream)).map(Fault::ErrorInStream))
        .or_else(|| model.wrong_length.as_ref().filter(|x| draws.hits(&x.when, Q::WrongLength)).map(Fault::WrongLength))
        .or_else(|| model.endless.as_ref().filter(|x| draws.hits(&x.when, Q::Endless)).map(Fault::Endless))
}

/// Breaks `answer`; says where it stops or pauses, if it does.
pub(super) fn damage(answer: &mut Rendered, fault: Fault<'_>, id: u64) -> Option<(usize, Stop)> {
    match fault {
        Fault::Garbage(garbage) => spoil(answer, garbage),
        Fault::Cut(cut) => {
            let at = cut
                .after_bytes
                .unwrap_or_else(|| answer.after(cut.after_events.unwrap_or(0)));
            Some((at.min(answer.ink.bytes.len()), ending(cut.how)))
        }
        Fault::Stall(stall) => {
            let stop = stall.lasting.map_or(Stop::Hold, Stop::Pause);
            Some((answer.after(stall.after_events), stop))
        }
        Fault::ErrorInStream(error) if answer.streamed => {
            fail_in_stream(answer, error);
            None
        }
        Fault::WrongLength(wrong) if !answer.streamed => lie(answer, wrong.by),
        Fault::Endless(endless) => Some(never_end(answer, endless, id)),
        _ => None,
    }
}

/// Bytes that are no answer, and how the connection ends behind them.
pub(super) fn ending(how: How) -> Stop {
    match how {
        How::Close => Stop::Close,
        How::Reset => Stop::Reset,
        How::Hold => Stop::Hold,
    }
}

/// One draw for all errors: their shares are neighbours on the line from 0 to 1.
fn error(model: &Model, draws: Draws) -> Option<Fault<'_>> {
    let drawn = draws.unit(Question::Error);
    let mut below = 0.0;
    for failure in model
        .errors
        .iter()
        .filter(|failure| failure.when.covers(draws.number))
    {
        below += failure.when.share;
        if drawn < below {
            return Some(Fault::Error(failure));
        }
    }
    None
}

fn spoil(answer: &mut Rendered, garbage: &Garbage) -> Option<(usize, Stop)> {
    if garbage.place == Place::Head {
        answer.truncate(0);
        answer.head_end = 0;
        answer.ink.text("\u{1}\u{2} this is no HTTP \u{7f}\r\n\r\n");
        return Some((answer.ink.bytes.len(), Stop::Close));
    }
    if garbage.place == Place::Event && answer.streamed {
        let mut chunk = Ink::default();
        chunk.chunk(&broken_event().ink);
        let at = answer.after(garbage.after_events);
        let next = answer.marks.iter().position(|mark| mark.end > at);
        let tokens = answer
            .marks
            .iter()
            .filter(|m| m.end <= at)
            .map(|m| m.tokens)
            .next_back();
        answer.splice(at, 0, &chunk.bytes);
        let mark = Mark {
            end: at + chunk.bytes.len(),
            tokens: tokens.unwrap_or(0),
            kind: Kind::Content,
        };
        answer
            .marks
            .insert(next.unwrap_or(answer.marks.len()), mark);
        return None;
    }
    let tokens = answer.marks.first().map_or(0, |mark| mark.tokens);
    let length = answer.ink.bytes.len() - answer.head_end;
    answer.truncate(answer.head_end);
    if answer.streamed {
        answer.ink.chunk(&broken_event().ink).text(LAST_CHUNK);
    } else {
        answer
            .ink
            .bytes
            .extend((0..length).map(|i| (i as u8).wrapping_mul(37) | 0x80));
    }
    answer.marks = vec![Mark {
        end: answer.ink.bytes.len(),
        tokens,
        kind: Kind::Content,
    }];
    None
}

fn broken_event() -> Event {
    let mut ink = Ink::default();
    ink.text("data: {\"id\": \"broken, \"choices\": [}\n\n");
    Event {
        ink,
        tokens: 0,
        kind: Kind::Content,
    }
}

fn fail_in_stream(answer: &mut Rendered, error: &ErrorInStream) {
    let at = answer.after(error.after_events);
    let tokens = answer
        .marks
        .iter()
        .find(|mark| mark.end >= at)
        .map_or(0, |mark| mark.tokens);
    answer.truncate(at);
    let mut shape = usual(500);
    shape.code = error.code.as_deref().or(shape.code);
    let mut event = Ink::default();
    event
        .text("data: ")
        .append(&error_object(&shape))
        .text("\n\n");
    answer.ink.chunk(&event);
    answer.marks.push(Mark {
        end: answer.ink.bytes.len(),
        tokens,
        kind: Kind::Tail,
    });
    answer.ink.text(LAST_CHUNK);
}

fn lie(answer: &mut Rendered, by: i64) -> Option<(usize, Stop)> {
    const FIELD: &[u8] = b"content-length: ";
    let at = memmem::find(&answer.ink.bytes, FIELD)? + FIELD.len();
    let body = answer.ink.bytes.len() - answer.head_end;
    let digits = answer.head_end - at - b"\r\n\r\n".len();
    let said = i64::try_from(body)
        .unwrap_or(i64::MAX)
        .saturating_add(by)
        .max(0);
    answer.splice(at, digits, said.to_string().as_bytes());
    Some((answer.ink.bytes.len(), Stop::Close))
}

fn never_end(answer: &mut Rendered, endless: &Endless, id: u64) -> (usize, Stop) {
    const FILLER_BYTES: usize = 16 << 10;
    let mut repeated = Ink::default();
    let last = answer
        .marks
        .iter()
        .rposition(|mark| mark.kind == Kind::Content);
    match (endless.what, last) {
        (Endlessness::Events, Some(last)) if answer.streamed => {
            let (from, to) = (answer.after(last), answer.after(last + 1));
            stamp(&mut answer.ink.bytes, &answer.ink.ids, id);
            repeated
                .bytes
                .extend_from_slice(answer.ink.bytes.get(from..to).unwrap_or_default());
            answer.truncate(to);
        }
        (Endlessness::Event, _) if answer.streamed => {
            let mut start = Ink::default();
            start.text("data: {\"choices\":[{\"delta\":{\"content\":\"");
            answer.truncate(answer.head_end);
            answer.ink.chunk(&start);
            repeated.chunk(&filler(FILLER_BYTES));
        }
        _ => {
            let mut ink = Ink::default();
            Head {
                status: 200,
                content_type: None,
                retry_after: None,
                model: None,
            }
            .write(&mut ink, "application/json");
            ink.text("transfer-encoding: chunked\r\n\r\n");
            answer.head_end = ink.bytes.len();
            answer.ink = ink;
            answer.marks.clear();
            answer
                .ink
                .chunk(Ink::default().text("{\"choices\":[{\"message\":{\"content\":\""));
            repeated.chunk(&filler(FILLER_BYTES));
        }
    }
    let every: Duration = endless.every;
    (
        answer.ink.bytes.len(),
        Stop::Repeat {
            bytes: repeated.bytes,
            every,
        },
    )
}

fn filler(bytes: usize) -> Ink {
    Ink {
        bytes: vec![b'x'; bytes],
        ids: Vec::new(),
    }
}
