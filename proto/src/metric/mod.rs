//! Metric names, labels, closed label sets, buckets: the router writes them, analysis reads them.

mod label;

pub use label::{
    Arm, BreakerState, Ending, Operation, Phase, Role, TokenSource, TokenType,
};
