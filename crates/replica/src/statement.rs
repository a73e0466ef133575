use crate::Divergence;
use domain::Cid;
use ledger::Statement;
use ucan::{Delegation, Invocation, Verified};

/// The tokens of one entry, opened: signatures and structure are good.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The entry's statement.
    pub invocation: Verified<Invocation>,
    /// Delegations that this entry is the first to name.
    pub introduced: Vec<Verified<Delegation>>,
}

impl Tokens {
    /// Opens the tokens that came with entry `seq`: its invocation, whose CID is `stmt`, and the delegations that it
    /// introduces, each of which the invocation must name.
    pub fn open(seq: u64, stmt: &Cid, tokens: &[Vec<u8>]) -> Result<Self, Divergence> {
        let bad = |token: Cid, reason: String| Divergence::Token { seq, token, reason };
        let own = tokens
            .iter()
            .find(|t| Cid::of(t) == *stmt)
            .ok_or_else(|| bad(*stmt, "the statement's bytes are missing".to_owned()))?;
        let invocation = ucan::open_invocation(own).map_err(|e| bad(*stmt, e.to_string()))?;
        let mut introduced: Vec<Verified<Delegation>> = Vec::new();
        for token in tokens.iter().filter(|t| *t != own) {
            let cid = Cid::of(token);
            if !invocation.proofs().contains(&cid) {
                return Err(bad(cid, "the statement does not name it".to_owned()));
            }
            if introduced.iter().any(|d| d.cid() == cid) {
                return Err(bad(cid, "a token came twice".to_owned()));
            }
            introduced.push(ucan::open_delegation(token).map_err(|e| bad(cid, e.to_string()))?);
        }
        if introduced.len().saturating_add(1) != tokens.len() {
            return Err(bad(*stmt, "a token came twice".to_owned()));
        }
        Ok(Self { invocation, introduced })
    }

    /// The statement, with the delegations of earlier entries from `known`.
    pub fn statement(
        &self,
        seq: u64,
        known: &dyn Fn(&Cid) -> Option<Verified<Delegation>>,
    ) -> Result<Statement, Divergence> {
        let proof = |cid: &Cid| {
            let own = self.introduced.iter().find(|d| d.cid() == *cid).cloned();
            own.or_else(|| known(cid)).ok_or_else(|| Divergence::Token {
                seq,
                token: *cid,
                reason: "no entry so far has introduced it".to_owned(),
            })
        };
        let proofs = self.invocation.proofs().iter().map(proof).collect::<Result<Vec<_>, _>>()?;
        Statement::parse(self.invocation.clone(), proofs).map_err(|error| Divergence::Args { seq, error })
    }
}

/// Reads the statement of entry `seq` from the tokens that came with it; see [`Tokens`].
pub fn read_statement(
    seq: u64,
    stmt: &Cid,
    tokens: &[Vec<u8>],
    known: &dyn Fn(&Cid) -> Option<Verified<Delegation>>,
) -> Result<(Statement, Vec<Verified<Delegation>>), Divergence> {
    let tokens = Tokens::open(seq, stmt, tokens)?;
    Ok((tokens.statement(seq, known)?, tokens.introduced))
}
