//! The etcd backend under fire: a server that follows a script, and a real one that is killed,
//! frozen, wiped, compacted and cut off. What every backend promises is in `conformance`.

mod access;
mod batches;
mod chaos;
mod fake;
mod herds;
mod limits;
mod members;
mod outages;
mod position;
mod proxy;
mod refusals;
mod stage;
mod unknown;
