//! What may be asked of a metrics source. Pure.

/// Which series are read: those of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    pub route: String,
    pub candidate: String,
    pub families: Vec<Family>,
    /// Live routers: fewer fresh instances are a gap.
    pub live: u32,
    /// As the plan has it; `None`: found out.
    pub scrape_interval_ms: Option<u64>,
}

/// What may be asked for. Breakers, targets and freshness are always read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `serin_analysis_samples_total`
    Samples,
    Ttft,
    Duration,
    OutputTokens,
    Cost,
}
