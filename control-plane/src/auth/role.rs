//! What a role may do: one table. Pure.

use serin_proto::token::Role;

/// What somebody wants to do. Whatever way they came, the functions that do it ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Documents, digests cut; routers, audit, changes.
    Read,
    /// Whole digests of keys.
    ReadDigests,
    ReadTokens,
    MoveTraffic,
    /// To start rollouts, and every verb of theirs.
    RunRollouts,
    WriteDocuments,
    WriteTokens,
    /// To have routers follow another store.
    Adopt,
}

impl Right {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::Read,
        Self::ReadDigests,
        Self::ReadTokens,
        Self::MoveTraffic,
        Self::RunRollouts,
        Self::WriteDocuments,
        Self::WriteTokens,
        Self::Adopt,
    ];

    /// The least role that has it.
    pub(crate) fn least_role(self) -> Role {
        match self {
            Self::Read => Role::Viewer,
            Self::MoveTraffic | Self::RunRollouts => Role::Operator,
            Self::ReadDigests
            | Self::ReadTokens
            | Self::WriteDocuments
            | Self::WriteTokens
            | Self::Adopt => Role::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_rights_the_contract_gives_it_and_no_other() {
        let rights = |role: Role| -> Vec<Right> {
            let has = |right: &Right| role.reaches(right.least_role());
            Right::ALL.into_iter().filter(has).collect()
        };
        assert_eq!(rights(Role::Viewer), [Right::Read]);
        let operators = [Right::Read, Right::MoveTraffic, Right::RunRollouts];
        assert_eq!(rights(Role::Operator), operators);
        assert_eq!(rights(Role::Admin), Right::ALL);
    }
}
