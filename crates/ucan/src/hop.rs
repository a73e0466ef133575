use crate::token::{Delegation, Invocation};
use domain::{Cid, Did};

/// A bad token that came with an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// The CID of its bytes.
    pub cid: Cid,
    /// What it claims, when it can be read.
    pub claims: Option<&'a Delegation>,
}

/// The place in the chain, counted from the root, that a bad token has or was meant to have; `None` when it has no part
/// in the chain. `known` gives what is claimed by the other delegations.
///
/// A token that was changed after the invocation named it has another CID than the named one, so it is taken for the
/// proof that is missing where it fits: by issuer and audience when it can be read, and else when only one is missing.
pub fn hop_of<'a>(
    invocation: &Invocation,
    suspect: &Suspect<'_>,
    known: &dyn Fn(&Cid) -> Option<&'a Delegation>,
) -> Option<usize> {
    let mut proofs: Vec<(Cid, Option<&Delegation>)> =
        invocation.proofs().iter().map(|cid| (*cid, known(cid))).collect();
    // Leaf first, as in the walk of a chain: it ends where the subject begins, or begins where the issuer ends.
    let (first, last) = (proofs.first().and_then(|p| p.1), proofs.last().and_then(|p| p.1));
    let is_root = |d: Option<&Delegation>| d.is_some_and(|d| d.issuer() == invocation.subject());
    let is_leaf = |d: Option<&Delegation>| d.is_some_and(|d| d.audience() == invocation.issuer());
    if !is_root(first) && !is_leaf(last) && (is_root(last) || is_leaf(first)) {
        proofs.reverse();
    }
    if let Some(named) = proofs.iter().position(|(cid, _)| *cid == suspect.cid) {
        return Some(named);
    }
    let missing: Vec<usize> =
        proofs.iter().enumerate().filter(|(_, (_, known))| known.is_none()).map(|(index, _)| index).collect();
    match (suspect.claims, missing.as_slice()) {
        (Some(claims), _) => missing.into_iter().find(|index| fits(claims, *index, &proofs, invocation)),
        (None, [only]) => Some(*only),
        (None, _) => None,
    }
}

/// Whether a delegation joins what is known of both its neighbours.
fn fits(claims: &Delegation, index: usize, proofs: &[(Cid, Option<&Delegation>)], invocation: &Invocation) -> bool {
    let neighbour = |at: Option<usize>| at.and_then(|at| proofs.get(at)).map(|(_, known)| *known);
    let is_from = |did: Did| claims.issuer() == did;
    let is_to = |did: Did| claims.audience() == did;
    let above = match neighbour(index.checked_sub(1)) {
        None => is_from(invocation.subject()),
        Some(known) => known.is_none_or(|d| is_from(d.audience())),
    };
    let below = match neighbour(index.checked_add(1)) {
        None => is_to(invocation.issuer()),
        Some(known) => known.is_none_or(|d| is_to(d.issuer())),
    };
    above && below
}
