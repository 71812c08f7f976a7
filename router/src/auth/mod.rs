//! Who is calling: decided by the head alone, before a byte of the body is read.

mod keyring;

pub(crate) use keyring::{Caller, Denied, Keyring};
