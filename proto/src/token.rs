//! A token of the control plane: what it may do, and the digest that its secret must have.
//!
//! `PUT /tokens/{name}` sends it and `tokens/<name>` holds it, both as [`v1::Token`]. What this
//! file gives is checked: a role, a digest, a time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Fault, document, json, v1, validate};

/// How much somebody may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but tokens.
    Viewer,
    /// Moves traffic.
    Operator,
    /// Every other write, and tokens.
    Admin,
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of viewer, operator, admin")]
pub struct UnknownRole(pub String);

impl Role {
    /// From the least to the greatest.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it includes what `least` may do.
    pub fn reaches(self, least: Self) -> bool {
        self >= least
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == word);
        role.ok_or_else(|| UnknownRole(word.to_owned()))
    }
}

/// A token that was checked. Its name is that of its key or URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub role: Role,
    /// Of the whole secret: 64 hex digits in lower case.
    pub sha256: String,
    /// It opens nothing from then on. A past time is valid.
    pub expires_at: Option<OffsetDateTime>,
}

impl Token {
    /// Reads the body of a PUT.
    ///
    /// # Errors
    /// Every fault, those of form alone if there are any; pointers begin at the body (`/sha256`).
    pub fn read_strict(json: &[u8]) -> Result<Self, Vec<Fault>> {
        let tree = document::parse(json).map_err(|fault| vec![fault])?;
        let (json, faults) = json::strict(&tree, "serin.v1.Token");
        if !faults.is_empty() {
            return Err(faults);
        }
        Self::decode(json)
    }

    /// Reads what is stored: unknown fields are skipped.
    ///
    /// # Errors
    /// Every fault.
    pub fn read_tolerant(json: &[u8]) -> Result<Self, Vec<Fault>> {
        let tree = document::parse(json).map_err(|fault| vec![fault])?;
        let (json, faults, _) = json::tolerant(&tree, "serin.v1.Token");
        if !faults.is_empty() {
            return Err(faults);
        }
        Self::decode(json)
    }

    /// The stored form.
    pub fn to_json(&self) -> Vec<u8> {
        let expires_at = self.expires_at.and_then(|time| time.format(&Rfc3339).ok());
        let token = v1::Token {
            role: self.role.as_str().to_owned(),
            sha256: self.sha256.clone(),
            expires_at: expires_at.unwrap_or_default(),
        };
        serde_json::to_vec(&token).unwrap_or_default()
    }

    fn decode(json: serde_json::Value) -> Result<Self, Vec<Fault>> {
        let token: v1::Token = document::decode(json).map_err(|fault| vec![fault])?;
        let faults = validate::token(&token).faults;
        match token.role.parse() {
            Ok(role) if faults.is_empty() => Ok(Self {
                role,
                sha256: token.sha256.to_ascii_lowercase(),
                expires_at: OffsetDateTime::parse(&token.expires_at, &Rfc3339).ok(),
            }),
            _ => Err(faults),
        }
    }
}

#[cfg(test)]
mod tests;
