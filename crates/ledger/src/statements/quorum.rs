use crate::{
    Changes, Outcome, Quorum, Refusal, State,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::Did;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// FROST's cost grows with the square of the signers; research on quorums stays below this.
const MAX_PARTICIPANTS: usize = 32;

/// A package of 32 participants is well below.
const MAX_PACKAGE_HEX: usize = 8 * 1024;

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Args of `/quorum/set`: the new epoch whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetQuorum(pub Quorum);

impl Rule for SetQuorum {
    const REALM: Realm = Realm::Operator;

    fn check(&self) -> Result<(), ParseError> {
        let quorum = &self.0;
        let n = quorum.participants.len();
        if n > MAX_PARTICIPANTS {
            return Err(ParseError::args("participants", "at most 32"));
        }
        if quorum.threshold < 2 || usize::from(quorum.threshold) > n {
            return Err(ParseError::args("threshold", "at least 2 and at most the number of participants"));
        }
        // Any two quorums share a signer, so two forks of the log cannot both be signed by honest signers alone.
        if usize::from(quorum.threshold).saturating_mul(2) <= n {
            return Err(ParseError::args("threshold", "more than half of the participants"));
        }
        let ascending = quorum.participants.iter().zip(quorum.participants.iter().skip(1)).all(|(a, b)| a.id < b.id);
        if !ascending || quorum.participants.iter().any(|p| !(1..=255).contains(&p.id)) {
            return Err(ParseError::args("participants", "identifiers are 1 to 255, ascending and distinct"));
        }
        let nodes: BTreeSet<_> = quorum.participants.iter().map(|p| p.node).collect();
        if nodes.len() != n {
            return Err(ParseError::args("participants", "a node key appears twice"));
        }
        let point = &quorum.keys.secp256k1;
        if point.len() != 66 || !(point.starts_with("02") || point.starts_with("03")) || !is_hex(point) {
            return Err(ParseError::args("keys.secp256k1", "33 bytes of a compressed point in lower-case hex"));
        }
        for (field, package) in
            [("packages.secp256k1", &quorum.packages.secp256k1), ("packages.ed25519", &quorum.packages.ed25519)]
        {
            if package.is_empty() || package.len() > MAX_PACKAGE_HEX || !is_hex(package) {
                return Err(ParseError::args(field, "a public key package in lower-case hex, at most 4 KiB"));
            }
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let taken = |node: &Did| {
            node == &state.operator()
                || state.origin().is_some_and(|o| o.issuer == *node || o.sequencer == *node)
                || state.tenants().any(|(did, t)| did == node || t.installations.contains_key(node))
        };
        if self.0.participants.iter().any(|p| taken(&p.node)) {
            return Err(Refusal::conflict("participants", "a node's key already has another part"));
        }
        let next = state.quorum().map_or(1, |q| q.epoch.saturating_add(1));
        if self.0.epoch != next {
            return Err(Refusal::conflict("epoch", format!("the next epoch is {next}")));
        }
        state.set_quorum(self.0.clone(), cx.seq);
        Ok(Outcome::Accepted)
    }
}
