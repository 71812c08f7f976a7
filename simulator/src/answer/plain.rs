//! Plain JSON answers, field by field as OpenAI orders them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::ink::Ink;
use super::words::{self, Piece};
use super::{CREATED, FINGERPRINT, Speaker};
use crate::ask::Embedding;
use crate::draw::{Draws, Question, mix};
use crate::script::ToolCall;

/// `chat.completion`
pub(super) fn chat(speaker: &Speaker<'_>) -> Ink {
    let mut ink = open("chatcmpl-", "chat.completion", speaker.name);
    ink.text(",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    if speaker.calls.is_empty() {
        ink.quoted(&text(speaker)).text(",\"refusal\":null");
    } else {
        ink.text("null,\"refusal\":null,\"tool_calls\":[");
        for (index, call) in speaker.calls.iter().enumerate() {
            ink.text(if index == 0 { "" } else { "," });
            tool_call(&mut ink, index, call);
        }
        ink.text("]");
    }
    let thoughts = words::reasoning(speaker.model);
    if !thoughts.is_empty() {
        ink.text(",\"reasoning_content\":")
            .quoted(&words::joined(&thoughts));
    }
    ink.text("},\"logprobs\":null,\"finish_reason\":")
        .quoted(speaker.finish())
        .text("}]");
    if speaker.usage {
        ink.text(",\"usage\":").append(&usage(speaker));
    }
    ink.text(",\"system_fingerprint\":")
        .quoted(FINGERPRINT)
        .text("}");
    ink
}

/// `text_completion`
pub(super) fn completion(speaker: &Speaker<'_>) -> Ink {
    let mut ink = open("cmpl-", "text_completion", speaker.name);
    ink.text(",\"choices\":[{\"text\":").quoted(&text(speaker));
    ink.text(",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]");
    if speaker.usage {
        ink.text(",\"usage\":").append(&usage(speaker));
    }
    ink.text("}");
    ink
}

/// The manner of `/v1/responses`, for any operation without a shape of its own.
pub(super) fn other(speaker: &Speaker<'_>) -> Ink {
    let mut ink = Ink::default();
    ink.text("{\"id\":\"resp_")
        .id()
        .text("\",\"object\":\"response\",\"status\":\"completed\"");
    ink.text(",\"model\":").quoted(speaker.name);
    ink.text(",\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
    ink.text("{\"type\":\"output_text\",\"text\":")
        .quoted(&text(speaker))
        .text("}]}]");
    if speaker.usage {
        let (prompt, answer) = (speaker.model.prompt_tokens, speaker.tokens());
        let counts = json!({
            "input_tokens": prompt, "output_tokens": answer,
            "total_tokens": prompt.saturating_add(answer),
        });
        ink.text(",\"usage\":").text(&counts.to_string());
    }
    ink.text("}");
    ink
}

/// A list of embeddings: numbers in -1.0..1.0 that follow from the seed and the input's place.
pub(super) fn embeddings(speaker: &Speaker<'_>, asked: Embedding, draws: Draws) -> Ink {
    let dimensions = asked
        .dimensions
        .unwrap_or(speaker.model.embedding_dimensions);
    let mut ink = Ink::default();
    ink.text("{\"object\":\"list\",\"data\":[");
    for index in 0..asked.inputs {
        ink.text(if index == 0 { "" } else { "," });
        ink.text("{\"object\":\"embedding\",\"index\":")
            .number(index)
            .text(",\"embedding\":");
        let seed = mix(draws.bits(Question::Embedding) ^ index as u64);
        let values = (0..dimensions).map(|d| coordinate(mix(seed ^ d as u64)));
        if asked.base64 {
            let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            ink.quoted(&STANDARD.encode(&bytes));
        } else {
            ink.text(&json!(values.collect::<Vec<f32>>()).to_string());
        }
        ink.text("}");
    }
    let prompt = speaker.model.prompt_tokens;
    ink.text("],\"model\":").quoted(speaker.name);
    if speaker.usage {
        let counts = json!({"prompt_tokens": prompt, "total_tokens": prompt});
        ink.text(",\"usage\":").text(&counts.to_string());
    }
    ink.text("}");
    ink
}

/// The usage object of chat and completions.
pub(super) fn usage(speaker: &Speaker<'_>) -> Ink {
    let (prompt, answer) = (speaker.model.prompt_tokens, speaker.tokens());
    let mut ink = Ink::default();
    ink.text("{\"prompt_tokens\":").number(prompt);
    ink.text(",\"completion_tokens\":").number(answer);
    ink.text(",\"total_tokens\":")
        .number(prompt.saturating_add(answer));
    ink.text(",\"prompt_tokens_details\":{\"cached_tokens\":0}");
    ink.text(",\"completion_tokens_details\":{\"reasoning_tokens\":");
    ink.number(speaker.model.reasoning).text("}}");
    ink
}

fn open(prefix: &str, object: &str, model: &str) -> Ink {
    let mut ink = Ink::default();
    ink.text("{\"id\":\"")
        .text(prefix)
        .id()
        .text("\",\"object\":")
        .quoted(object);
    ink.text(",\"created\":")
        .number(CREATED)
        .text(",\"model\":")
        .quoted(model);
    ink
}

fn text(speaker: &Speaker<'_>) -> String {
    let pieces: Vec<Piece> = words::content(speaker.model);
    words::joined(&pieces) + &words::filler(speaker.model.padding)
}

fn tool_call(ink: &mut Ink, index: usize, call: &ToolCall) {
    ink.text("{\"id\":\"call_")
        .id()
        .number(index)
        .text("\",\"type\":\"function\"");
    ink.text(",\"function\":{\"name\":").quoted(&call.name);
    ink.text(",\"arguments\":")
        .quoted(&call.arguments)
        .text("}}");
}

fn coordinate(bits: u64) -> f32 {
    // 24 bits are what an f32 holds exactly.
    (bits >> 40) as f32 / (1u32 << 23) as f32 - 1.0
}
