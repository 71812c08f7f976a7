//! The cases, by what they ask about.

pub(crate) mod contention;
pub(crate) mod lasting;
pub(crate) mod leases;
pub(crate) mod reading;
pub(crate) mod transactions;
pub(crate) mod watching;
