//! The words of an answer, cut into the deltas of a stream.
//!
//! The same model says the same words in a plain answer and in a stream, so that the two can be
//! compared. Filler (`padding`) is not counted as tokens.

use crate::script::Model;

const WORDS: [&str; 16] = [
    " The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", " while",
    " nobody", " at", " all", " is", " looking", ".",
];

/// Some tokens of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) tokens: u32,
}

/// The content of an answer, one piece a delta.
pub(super) fn content(model: &Model) -> Vec<Piece> {
    let tokens: Vec<String> = match &model.text {
        Some(text) => text.split_inclusive(' ').map(str::to_owned).collect(),
        None => (0..model.answer_tokens as usize).map(word).collect(),
    };
    let size = (model.chunk_tokens as usize).max(1);
    tokens
        .chunks(size)
        .map(|some| Piece {
            text: some.concat(),
            tokens: u32::try_from(some.len()).unwrap_or(1),
        })
        .collect()
}

/// The thinking before it, a token a delta.
pub(super) fn reasoning(model: &Model) -> Vec<Piece> {
    (0..model.reasoning as usize)
        .map(|i| Piece {
            text: word(i),
            tokens: 1,
        })
        .collect()
}

/// A tool's arguments, some characters a delta.
pub(super) fn arguments(text: &str) -> Vec<Piece> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(8)
        .map(|some| Piece {
            text: some.iter().collect(),
            tokens: 1,
        })
        .collect()
}

pub(super) fn joined(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

pub(super) fn tokens(pieces: &[Piece]) -> u32 {
    pieces.iter().map(|piece| piece.tokens).sum()
}

pub(super) fn filler(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn word(index: usize) -> String {
    let word = WORDS[index % WORDS.len()];
    if index == 0 {
        word.trim_start().to_owned()
    } else {
        word.to_owned()
    }
}
