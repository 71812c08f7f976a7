//! The write path on a store in memory: what is done, what is refused, what is remembered.

mod apply;
mod documents;
mod races;
mod stored;
mod tokens;
mod traffic;
mod unknown;
