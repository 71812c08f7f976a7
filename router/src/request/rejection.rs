//! Every way we say no: status, code, type and public words.
//!
//! Always: OpenAI's shape, and nothing of our insides: no provider, target, address or other model
//! name. What a caller can do about it stands in the message.

use std::time::Duration;

use actix_web::http::StatusCode;
use serde::Serialize;

use super::parse::Unreadable;
use crate::auth::Denied;

/// Why a request is not answered by a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    Unreadable(Unreadable),
    BadPath,
    Denied(Denied),
    RouteNotAllowed {
        model: String,
    },
    ModelNotFound {
        model: String,
    },
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The body's chunks are not what HTTP allows.
    BadFraming,
    /// The body broke off: its caller left. actix says the same of some bad chunk sizes, whose
    /// caller is still there to read an answer.
    BodyBroken,
    BodyTooLarge {
        bytes_max: usize,
    },
    CompressedBody,
    /// Every attempt was answered 429.
    UpstreamRateLimited {
        retry_after: Option<Duration>,
    },
    UpstreamFailed,
    /// Every attempt was refused for our credential.
    UpstreamAuthFailed,
    UpstreamTimeout,
    /// All breakers are open and the route says to reject.
    AllOpen {
        retry_after: Duration,
    },
    /// No document has been applied yet.
    NotReady,
    /// Too many bytes of bodies are held already.
    BodiesFull,
    /// Every target is at its `maxConcurrency`.
    TargetsFull,
    UnknownPath,
    MethodNotAllowed {
        allow: &'static str,
    },
}

/// A rejection as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<&'static str>,
    pub(crate) retry_after: Option<Duration>,
    /// `Some(false)`: SDKs would retry on top of all that was tried already.
    pub(crate) should_retry: Option<bool>,
    pub(crate) allow: Option<&'static str>,
    /// The rest of the caller's body is not worth reading.
    pub(crate) close: bool,
}

impl Told {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            should_retry: None,
            allow: None,
            close: false,
        }
    }

    fn param(self, param: Option<&'static str>) -> Self {
        Self { param, ..self }
    }

    fn after(self, retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..self
        }
    }

    /// The chain gave no answer.
    fn final_word(self) -> Self {
        Self {
            should_retry: Some(false),
            ..self
        }
    }

    fn closing(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    /// `type` of the error: it follows from the status.
    pub(crate) fn kind(&self) -> &'static str {
        kind_of(self.status)
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> String {
        error_json(&self.message, self.kind(), self.param, self.code)
    }
}

impl Rejection {
    pub(crate) fn told(&self) -> Told {
        match self {
            Self::Unreadable(why) => Told::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                why.public_message(),
            )
            .param(why.param()),
            Self::BadPath => {
                let message = "The path has segments that cannot be forwarded.";
                Told::new(StatusCode::BAD_REQUEST, "invalid_request", message)
            }
            Self::Denied(denied) => {
                let message = denied.public_message();
                Told::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
            }
            Self::RouteNotAllowed { model } => {
                let message = format!("This API key may not use the model '{model}'.");
                Told::new(StatusCode::FORBIDDEN, "route_not_allowed", message)
            }
            Self::ModelNotFound { model } => {
                let message =
                    format!("The model '{model}' does not exist or you do not have access to it.");
                Told::new(StatusCode::NOT_FOUND, "model_not_found", message)
            }
            Self::BadFraming | Self::BodyBroken => {
                let message = "The request body is not framed as HTTP/1.1 requires.";
                Told::new(StatusCode::BAD_REQUEST, "invalid_request", message).closing()
            }
            Self::BodyTooSlow => {
                let message = "The request did not arrive in time.";
                Told::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message).closing()
            }
            Self::BodyTooLarge { bytes_max } => {
                let message = format!("The request body is larger than {bytes_max} bytes.");
                Told::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message).closing()
            }
            Self::CompressedBody => {
                let message = "Compressed request bodies are not supported: send it as it is.";
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                Told::new(status, "unsupported_encoding", message).closing()
            }
            Self::UnknownPath => Told::new(
                StatusCode::NOT_FOUND,
                "unknown_path",
                "There is no such URL.",
            ),
            Self::MethodNotAllowed { allow } => {
                let message = format!("This URL takes {allow}.");
                let status = StatusCode::METHOD_NOT_ALLOWED;
                let told = Told::new(status, "method_not_allowed", message);
                Told {
                    allow: Some(allow),
                    ..told
                }
            }
            _ => self.told_of_upstream(),
        }
    }

    fn told_of_upstream(&self) -> Told {
        match self {
            Self::UpstreamRateLimited { retry_after } => {
                let message = "The provider is rate limiting. Try again later.";
                Told::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "upstream_rate_limited",
                    message,
                )
                .after(*retry_after)
                .final_word()
            }
            Self::UpstreamAuthFailed => {
                let message = "The gateway could not authenticate with the provider.";
                Told::new(StatusCode::BAD_GATEWAY, "upstream_auth_failed", message).final_word()
            }
            Self::UpstreamTimeout => {
                let message = "The provider did not answer in time.";
                Told::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", message).final_word()
            }
            Self::AllOpen { retry_after } => {
                let message = "No target can take this request now.";
                Told::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no_target_available",
                    message,
                )
                .after(Some(*retry_after))
                .final_word()
            }
            Self::NotReady => {
                let message = "The gateway is starting.";
                Told::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "no_target_available",
                    message,
                )
                .after(Some(Duration::from_secs(1)))
            }
            Self::BodiesFull => {
                let message = "The gateway is handling as many request bodies as it can.";
                Told::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                    .after(Some(Duration::from_secs(1)))
                    .closing()
            }
            Self::TargetsFull => {
                let message = "Every target is handling as many requests as it may.";
                Told::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                    .after(Some(Duration::from_secs(1)))
            }
            _ => {
                let message = "The provider failed to answer.";
                Told::new(StatusCode::BAD_GATEWAY, "upstream_error", message).final_word()
            }
        }
    }
}

/// The event that tells a caller that a stream broke off, its empty line included.
pub(crate) fn error_event(status: u16, code: &str) -> String {
    let message = if status == 504 {
        "The provider did not go on with its answer in time."
    } else {
        "The provider's answer broke off."
    };
    format!(
        "data: {}\n\n",
        error_json(message, "server_error", None, code)
    )
}

fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn error_json(message: &str, kind: &str, param: Option<&str>, code: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Error<'a>,
    }
    #[derive(Serialize)]
    struct Error<'a> {
        message: &'a str,
        r#type: &'a str,
        param: Option<&'a str>,
        code: &'a str,
    }
    let error = Error {
        message,
        r#type: kind,
        param,
        code,
    };
    serde_json::to_string(&Body { error }).expect("four strings are always JSON")
}
