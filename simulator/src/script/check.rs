//! Is every value of a script in its range?
//!
//! Said when the script is set, so that answering never meets a surprise: no division by a share,
//! no header that splits in two, no answer that would not fit into memory.

use super::{Failure, Model, Script, When};

/// Longest prepared answer, in bytes. What must be longer is `endless`.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Models a script may name.
const MODELS_MAX: usize = 10_000;
/// Bytes of framing and JSON around one content delta, roughly and from above.
const EVENT_BYTES: usize = 512;

/// Why a script is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadScript {
    #[error("script is not valid JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("script is not valid YAML: {0}")]
    Yaml(String),
    #[error("script: {place}: {what}")]
    Value { place: String, what: String },
}

impl BadScript {
    pub(super) fn json(error: serde_json::Error) -> Self {
        Self::Json(error)
    }

    pub(super) fn yaml(error: impl ToString) -> Self {
        Self::Yaml(error.to_string())
    }
}

pub(super) fn script(script: &Script) -> Result<(), BadScript> {
    if script.models.len() > MODELS_MAX {
        return Err(bad("models", format!("more than {MODELS_MAX}")));
    }
    model("default", &script.default)?;
    for (name, one) in &script.models {
        model(&format!("models.{name}"), one)?;
    }
    Ok(())
}

fn model(place: &str, model: &Model) -> Result<(), BadScript> {
    let at = |field: &str| format!("{place}.{field}");
    if !(model.tokens_per_second.is_finite() && model.tokens_per_second >= 0.0) {
        return Err(bad(at("tokensPerSecond"), "must be 0 or more"));
    }
    if !(0.0..=1.0).contains(&model.jitter) {
        return Err(bad(at("jitter"), "must be between 0 and 1"));
    }
    if model.chunk_tokens == 0 {
        return Err(bad(at("chunkTokens"), "must be at least 1"));
    }
    if model.trickle.as_ref().is_some_and(|t| t.bytes == 0) {
        return Err(bad(at("trickle.bytes"), "must be at least 1"));
    }
    if !(1..=16_384).contains(&model.embedding_dimensions) {
        return Err(bad(
            at("embeddingDimensions"),
            "must be between 1 and 16384",
        ));
    }
    if answer_bytes(model) > ANSWER_BYTES_MAX {
        return Err(bad(
            place,
            "answer is longer than 64 MiB; `endless` needs no memory",
        ));
    }
    if let Some(cut) = &model.cut
        && cut.after_events.is_some() == cut.after_bytes.is_some()
    {
        return Err(bad(
            at("cut"),
            "needs exactly one of afterEvents, afterBytes",
        ));
    }
    for (index, failure) in model.errors.iter().enumerate() {
        error(&at(&format!("errors[{index}]")), failure)?;
    }
    headers(place, model)?;
    shares(place, model)
}

fn error(place: &str, failure: &Failure) -> Result<(), BadScript> {
    if !(200..=599).contains(&failure.status) {
        return Err(bad(
            format!("{place}.status"),
            "must be between 200 and 599",
        ));
    }
    for value in [&failure.retry_after, &failure.content_type]
        .into_iter()
        .flatten()
    {
        header_value(place, value)?;
    }
    share(place, &failure.when)
}

fn headers(place: &str, model: &Model) -> Result<(), BadScript> {
    for (name, value) in &model.headers {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'|+^$%&#`".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(bad(
                format!("{place}.headers"),
                format!("`{name}` is no header name"),
            ));
        }
        header_value(&format!("{place}.headers.{name}"), value)?;
    }
    for value in [&model.content_type, &model.retry_after]
        .into_iter()
        .flatten()
    {
        header_value(place, value)?;
    }
    Ok(())
}

fn header_value(place: &str, value: &str) -> Result<(), BadScript> {
    if value.contains(['\r', '\n', '\0']) {
        return Err(bad(place, "a header value has a line break"));
    }
    Ok(())
}

fn shares(place: &str, model: &Model) -> Result<(), BadScript> {
    let all = [
        ("noUsage", model.no_usage.as_ref()),
        ("noDone", model.no_done.as_ref()),
        ("trickle", model.trickle.as_ref().map(|x| &x.when)),
        ("reset", model.reset.as_ref()),
        ("hang", model.hang.as_ref()),
        ("raw", model.raw.as_ref().map(|x| &x.when)),
        ("garbage", model.garbage.as_ref().map(|x| &x.when)),
        ("cut", model.cut.as_ref().map(|x| &x.when)),
        ("stall", model.stall.as_ref().map(|x| &x.when)),
        (
            "errorInStream",
            model.error_in_stream.as_ref().map(|x| &x.when),
        ),
        ("wrongLength", model.wrong_length.as_ref().map(|x| &x.when)),
        ("endless", model.endless.as_ref().map(|x| &x.when)),
    ];
    for (name, when) in all {
        if let Some(when) = when {
            share(&format!("{place}.{name}"), when)?;
        }
    }
    Ok(())
}

fn share(place: &str, when: &When) -> Result<(), BadScript> {
    if !(0.0..=1.0).contains(&when.share) {
        return Err(bad(format!("{place}.share"), "must be between 0 and 1"));
    }
    Ok(())
}

fn answer_bytes(model: &Model) -> usize {
    let text = model.text.as_ref().map_or(0, String::len);
    let deltas = model.answer_tokens as usize + model.reasoning as usize + text;
    deltas.saturating_mul(model.padding.saturating_add(EVENT_BYTES))
}

fn bad(place: impl Into<String>, what: impl Into<String>) -> BadScript {
    BadScript::Value {
        place: place.into(),
        what: what.into(),
    }
}
