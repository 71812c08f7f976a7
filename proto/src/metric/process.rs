//! Closed label sets of metrics about the router itself, as `label.rs` has them for requests.
//!
//! The same promises: `ALL` holds each value at its index, `as_str` is the exported word, and no
//! word comes from a caller.

/// Where the router adds time (label `phase` of `serin_overhead_seconds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverheadPhase {
    /// Head parsed → handed to the HTTP client, less waiting for the body.
    Request,
    /// The target's first content → our head written.
    Head,
    /// A piece of a stream, in → out; one in 64 is measured.
    Chunk,
}

impl OverheadPhase {
    pub const ALL: [Self; 3] = [Self::Request, Self::Head, Self::Chunk];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Head => "head",
            Self::Chunk => "chunk",
        }
    }
}

/// What became of a change of configuration (label `result`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    Ok,
    Rejected,
    /// The whole was listed again.
    Resync,
}

impl Applied {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Rejected, Self::Resync];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Resync => "resync",
        }
    }
}

/// Whose full mailbox a message did not fit into (label `actor`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    Target,
    Watcher,
    Recorder,
}

impl ActorKind {
    pub const ALL: [Self; 3] = [Self::Target, Self::Watcher, Self::Recorder];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Watcher => "watcher",
            Self::Recorder => "recorder",
        }
    }
}

/// What was running when our code panicked (label `place`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PanicPlace {
    Handler,
    Task,
    Actor,
}

impl PanicPlace {
    pub const ALL: [Self; 3] = [Self::Handler, Self::Task, Self::Actor];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Task => "task",
            Self::Actor => "actor",
        }
    }
}
