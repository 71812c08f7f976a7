//! Every way the provider says no of itself, in OpenAI's shape and words.
//!
//! Not here: the errors a script asks for (`errors`), which borrow the same shape.

/// Why a request gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotJson,
    NoModel,
    StreamOptionsWithoutStream,
    BadInput,
    NoKey,
    WrongKey,
    UnknownModel,
    UnknownPath,
    WrongMethod,
    /// HTTP that no server should accept.
    Malformed,
    TooLarge,
    HeadTooLarge,
    OldHttp,
}

/// The parts of an error object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) status: u16,
    pub(crate) kind: &'a str,
    pub(crate) code: Option<&'a str>,
    pub(crate) param: Option<&'a str>,
    pub(crate) message: &'a str,
}

impl Refusal {
    #[rustfmt::skip]
    pub(crate) fn shape(self) -> Shape<'static> {
        let (status, code, param, message) = match self {
            Self::NotJson => (400, None, None, "We could not parse the JSON body of your request."),
            Self::NoModel => (400, None, None, "you must provide a model parameter"),
            Self::StreamOptionsWithoutStream => (400, None, Some("stream_options"),
                "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
            Self::BadInput => (400, None, Some("input"), "'$.input' is invalid."),
            Self::NoKey => (401, None, None, "You didn't provide an API key."),
            Self::WrongKey => (401, Some("invalid_api_key"), None, "Incorrect API key provided."),
            Self::UnknownModel => (404, Some("model_not_found"), None,
                "The model does not exist or you do not have access to it."),
            Self::UnknownPath => (404, None, None, "Invalid URL"),
            Self::WrongMethod => (405, Some("method_not_supported"), None, "Not allowed on this URL."),
            Self::Malformed => (400, None, None, "This is not HTTP as it should be."),
            Self::TooLarge => (413, None, None, "Maximum content size limit exceeded."),
            Self::HeadTooLarge => (431, None, None, "Request header fields are too large."),
            Self::OldHttp => (505, None, None, "Only HTTP/1.1 is spoken here."),
        };
        Shape { status, kind: kind(status), code, param, message }
    }
}

/// What OpenAI says for a status when a script gives no words of its own.
#[rustfmt::skip]
pub(crate) fn usual(status: u16) -> Shape<'static> {
    let (code, message) = match status {
        401 => (Some("invalid_api_key"), "Incorrect API key provided."),
        403 => (None, "You are not allowed to use this model."),
        404 => (Some("model_not_found"), "The model does not exist or you do not have access to it."),
        429 => (Some("rate_limit_exceeded"), "Rate limit reached. Please try again later."),
        503 => (None, "The engine is currently overloaded, please try again later."),
        500.. => (None, "The server had an error while processing your request. Sorry about that!"),
        _ => (None, "The request was refused."),
    };
    Shape { status, kind: kind(status), code, param: None, message }
}

/// The reason phrase of a status line.
#[rustfmt::skip]
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",                    400 => "Bad Request",          401 => "Unauthorized",
        403 => "Forbidden",             404 => "Not Found",            405 => "Method Not Allowed",
        408 => "Request Timeout",       409 => "Conflict",             413 => "Content Too Large",
        422 => "Unprocessable Content", 429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error", 502 => "Bad Gateway",          503 => "Service Unavailable",
        504 => "Gateway Timeout",       505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}

fn kind(status: u16) -> &'static str {
    match status {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
