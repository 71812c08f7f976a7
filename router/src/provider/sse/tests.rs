//! The splitter against a slow reference, under every cutting.
//!
//! The reference reads the format's rules byte by byte. After each chunk the splitter must have
//! delivered exactly what the reference would have by then, and heard the same events in the end.

use proptest::prelude::*;

use super::*;

/// What a stream says, however it was cut: each event's name and data, and how many bytes may be
/// relayed.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    events: Vec<NameAndData>,
    delivered: Vec<u8>,
}

type NameAndData = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The rules of the format, byte by byte, with no thought of speed.
fn reference(stream: &[u8]) -> Heard {
    let mut heard = Heard {
        events: Vec::new(),
        delivered: Vec::new(),
    };
    let mut at = if stream.starts_with(&BYTE_ORDER_MARK) {
        3
    } else {
        0
    };
    let mut lines: Vec<&[u8]> = Vec::new();
    loop {
        let Some(len) = stream[at..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
        else {
            return heard;
        };
        let line = &stream[at..at + len];
        let is_crlf = stream[at + len..].starts_with(b"\r\n");
        at += len + if is_crlf { 2 } else { 1 };
        if !line.is_empty() {
            lines.push(line);
            continue;
        }
        if !lines.is_empty() {
            heard
                .events
                .push((field(&lines, "event").pop(), joined(field(&lines, "data"))));
        }
        lines.clear();
        heard.delivered = stream[..at].to_vec();
    }
}

fn field(lines: &[&[u8]], name: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for line in lines {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        if &line[..colon] == name.as_bytes() {
            let value = line.get(colon + 1..).unwrap_or_default();
            let spaces = usize::from(value.first() == Some(&b' '));
            values.push(value[spaces..].to_vec());
        }
    }
    values
}

fn joined(values: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    (!values.is_empty()).then(|| values.join(&b'\n'))
}

/// The splitter's answer, with the stream cut at the given lengths, then whole.
fn split(stream: &[u8], cuts: &[usize]) -> Heard {
    let mut heard = Heard {
        events: Vec::new(),
        delivered: Vec::new(),
    };
    let mut splitter = Splitter::default();
    let mut rest = stream;
    let lengths = cuts.iter().copied().chain([usize::MAX]);
    for length in lengths {
        let (chunk, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        let whole = splitter
            .push(Bytes::copy_from_slice(chunk))
            .expect("no long event");
        for event in whole.opened() {
            let data = event.data().map(Cow::into_owned);
            heard.events.push((event.name().map(<[u8]>::to_vec), data));
        }
        heard.delivered.extend_from_slice(&whole.bytes);
        let so_far = &stream[..stream.len() - rest.len()];
        assert_eq!(
            heard.delivered,
            reference(so_far).delivered,
            "what is whole waits for nothing"
        );
    }
    assert_eq!(
        splitter.finish(),
        heard.delivered.len() < stream.len(),
        "whether a tail is left"
    );
    heard
}

fn data(text: &str) -> NameAndData {
    (None, Some(text.into()))
}

#[test]
fn events_are_read_as_the_format_says() {
    let named = |name: &str, text: &str| (Some(name.into()), Some(text.into()));
    let table = [
        ("data: a\n\n", vec![data("a")]),
        ("data:a\n\n", vec![data("a")]),
        ("data:  a\n\n", vec![data(" a")]),
        ("data\n\n", vec![data("")]),
        (
            "data: a\r\n\r\ndata: b\r\rdata: c\n\r\n",
            vec![data("a"), data("b"), data("c")],
        ),
        ("data: a\rdata: b\n\n", vec![data("a\nb")]),
        ("data: a\ndata: b\ndata: c\n\n", vec![data("a\nb\nc")]),
        ("event: error\ndata: {}\n\n", vec![named("error", "{}")]),
        ("event: a\nevent: b\ndata: x\n\n", vec![named("b", "x")]),
        ("id: 7\nretry: 3\ndata: x\n\n", vec![data("x")]),
        (": ping\n\n", vec![(None, None)]),
        ("datax: a\n\n", vec![(None, None)]),
        ("\n\n\ndata: a\n\n\n\n", vec![data("a")]),
        ("\u{feff}data: a\n\n", vec![data("a")]),
        ("\u{feff}\ndata: a\n\n", vec![data("a")]),
        (
            "data: a\n\n\u{feff}data: b\n\n",
            vec![data("a"), (None, None)],
        ),
        (
            "data: a\u{2028}b\u{0085}c\n\n",
            vec![data("a\u{2028}b\u{0085}c")],
        ),
        ("data: whole\n\ndata: cut\n", vec![data("whole")]),
        ("data: cut", vec![]),
        ("", vec![]),
    ];
    for (stream, events) in table {
        let heard = split(stream.as_bytes(), &[]);
        assert_eq!(heard.events, events, "{stream:?}");
        assert_eq!(
            heard,
            reference(stream.as_bytes()),
            "{stream:?} and the reference"
        );
    }
}

#[test]
fn every_pair_of_cuts_gives_the_same_events() {
    let stream =
        "\u{feff}data: ä\r\n\r\nevent: e\rdata: b\r\rdata: c\n\r\n\r\n: p\n\ndata: d\r\n\r";
    let expected = reference(stream.as_bytes());
    assert_eq!(expected.events.len(), 5);
    for first in 0..=stream.len() {
        for second in 0..=stream.len() - first {
            assert_eq!(
                split(stream.as_bytes(), &[first, second]),
                expected,
                "{first} + {second}"
            );
        }
    }
}

#[test]
fn a_carriage_return_delivers_at_once_and_its_line_feed_follows_alone() {
    let mut splitter = Splitter::default();
    let mut push = |chunk: &'static str| {
        let whole = splitter
            .push(Bytes::from_static(chunk.as_bytes()))
            .expect("short");
        (whole.bytes.clone(), whole.events().next())
    };
    assert_eq!(
        push("data: a\r\n\r"),
        (Bytes::from("data: a\r\n\r"), Some(0..10))
    );
    assert_eq!(
        push("\n"),
        (Bytes::from("\n"), None),
        "it ends no line, so it is no event"
    );
    assert_eq!(push("data: b\r"), (Bytes::new(), None));
    assert_eq!(push("\r"), (Bytes::from("data: b\r\r"), Some(0..9)));
}

#[test]
fn whole_events_are_handed_on_without_a_copy() {
    let chunk = Bytes::from("data: a\n\ndata: b\n\ndata: c".to_owned());
    let mut splitter = Splitter::default();
    let whole = splitter.push(chunk.clone()).expect("short");
    assert_eq!(whole.bytes.as_ptr(), chunk.as_ptr());
    assert_eq!(whole.events().collect::<Vec<_>>(), [0..9, 9..18]);
    let rest = splitter.push(Bytes::from("\n\n")).expect("short");
    assert_eq!(rest.bytes, "data: c\n\n");
}

#[test]
fn an_event_may_be_a_mebibyte_and_no_longer_however_it_is_cut() {
    for (bytes, is_ok) in [(EVENT_BYTES_MAX, true), (EVENT_BYTES_MAX + 1, false)] {
        let stream = [b"data:".as_slice(), &vec![b'x'; bytes - 7], b"\n\n"].concat();
        for chunk_bytes in [stream.len(), stream.len() - 1, 65_536, 1_000] {
            let mut splitter = Splitter::default();
            let result = stream
                .chunks(chunk_bytes)
                .try_for_each(|chunk| splitter.push(Bytes::copy_from_slice(chunk)).map(drop));
            assert_eq!(
                result.is_ok(),
                is_ok,
                "{bytes} bytes in chunks of {chunk_bytes}"
            );
        }
    }
}

#[test]
fn an_endless_line_is_refused_before_it_fills_memory() {
    let mut splitter = Splitter::default();
    let chunk = Bytes::from(vec![b'x'; 65_536]);
    let taken = (0..1_000)
        .take_while(|_| splitter.push(chunk.clone()).is_ok())
        .count();
    assert_eq!(taken, EVENT_BYTES_MAX / 65_536);
}

proptest! {
    #[test]
    fn any_cutting_of_any_bytes_gives_what_the_reference_hears(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "\n", "\r", "\r\n", "\n\n", "data: ", "data:", "data", "event: ", ":", " ", "x",
                "ü", "\u{2028}", "\u{feff}", "{\"a\":1}", "[DONE]", "id: 1",
            ]),
            0..40,
        ),
        cuts in prop::collection::vec(0_usize..9, 0..60),
    ) {
        let stream = pieces.concat();
        prop_assert_eq!(split(stream.as_bytes(), &cuts), reference(stream.as_bytes()));
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_alike(
        stream in prop::collection::vec(
            prop::sample::select(vec![0_u8, b'\n', b'\r', b':', b'd', 0xEF, 0xBB, 0xBF, 0xFF]),
            0..60,
        ),
        cuts in prop::collection::vec(0_usize..4, 0..60),
    ) {
        prop_assert_eq!(split(&stream, &cuts), reference(&stream));
    }
}
