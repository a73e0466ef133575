use crate::{ProvenEntry, ReceiptError, Step};
use domain::Cid;
use ledger::Statement;
use log::{Entry, Hash, leaf_hash};

/// An entry whose bytes, tokens and statement are well-formed and belong together, signatures checked.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub entry: Entry,
    pub leaf: Hash,
    pub statement: Statement,
}

impl Opened {
    pub fn new(file: &ProvenEntry) -> Result<Self, ReceiptError> {
        let tokens: Vec<&[u8]> = file.tokens.iter().map(|t| t.0.as_slice()).collect();
        let opened = Self::of(&file.entry.0, &tokens)?;
        if opened.seq() != file.seq {
            return Err(ReceiptError::at(Step::Entry, file.seq, "its bytes name another position"));
        }
        Ok(opened)
    }

    /// `tokens`: the invocation, then every delegation that it names, in its order.
    pub fn of(bytes: &[u8], tokens: &[&[u8]]) -> Result<Self, ReceiptError> {
        let entry = Entry::decode(bytes).map_err(|e| ReceiptError::new(Step::Entry, e))?;
        let bad = |detail: String| ReceiptError::at(Step::Tokens, entry.seq, detail);
        let Some((own, delegations)) = tokens.split_first() else {
            return Err(bad("the statement is missing".to_owned()));
        };
        if Cid::of(own) != entry.stmt {
            return Err(bad("the first token is not the statement that the entry names".to_owned()));
        }
        let invocation = ucan::open_invocation(own).map_err(|e| bad(e.to_string()))?;
        if !delegations.iter().map(|d| Cid::of(d)).eq(invocation.proofs().iter().copied()) {
            return Err(bad("the delegations are not those that the statement names".to_owned()));
        }
        let proofs = delegations.iter().map(|d| ucan::open_delegation(d)).collect::<Result<Vec<_>, _>>();
        let proofs = proofs.map_err(|e| bad(e.to_string()))?;
        let statement =
            Statement::parse(invocation, proofs).map_err(|e| ReceiptError::at(Step::Statement, entry.seq, e))?;
        Ok(Self { leaf: leaf_hash(bytes), entry, statement })
    }

    pub const fn seq(&self) -> u64 {
        self.entry.seq
    }
}
