use client::{ClientError, ControlPlane};
use domain::Did;
use log::NoteKey;
use ucan::{Invocation, Ipld, Verified};

/// It is not known whose checkpoints count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OriginError {
    /// The log cannot be read.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing is in it.
    #[error("the log has no first entry yet")]
    Empty,
    /// The first statement is not what the operator began its log with.
    #[error("the log's first statement is not the operator's /log/genesis with this sequencer")]
    Foreign,
}

/// The log's own key under the log's name. Both are in its first statement, which the operator has signed: the sequencer's
/// key can sign for other logs, and the control plane can show whatever it likes.
pub(crate) async fn log_key(plane: &ControlPlane, operator: Did, sequencer: Did) -> Result<NoteKey, OriginError> {
    let first = plane.entries(0, 1).await?.entries.into_iter().next();
    let tokens = first.filter(|entry| entry.seq == 0).ok_or(OriginError::Empty)?.tokens;
    let statement = tokens.first().and_then(|token| ucan::open_invocation(&token.0).ok());
    statement.and_then(|statement| named(&statement, operator, sequencer)).ok_or(OriginError::Foreign)
}

fn named(statement: &Verified<Invocation>, operator: Did, sequencer: Did) -> Option<NoteKey> {
    let Ipld::Map(args) = statement.args() else { return None };
    let text = |field: &str| match args.get(field) {
        Some(Ipld::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let is_genesis = statement.command().as_str() == "/log/genesis";
    let by_operator = statement.issuer() == operator && statement.subject() == operator;
    if !is_genesis || !by_operator || text("sequencer")?.parse() != Ok(sequencer) {
        return None;
    }
    NoteKey::new(text("origin")?.parse().ok()?, &sequencer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use ucan::issue::{NewInvocation, did_of, invoke};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn first(command: &str, by: u8, subject: u8, sequencer: u8, origin: &str) -> Option<NoteKey> {
        let mut new = NewInvocation::new(did_of(&key(subject)), command.parse().unwrap(), [1; 12]);
        for (field, text) in [("origin", origin.to_owned()), ("sequencer", did_of(&key(sequencer)).to_string())] {
            new.args.insert(field.into(), Ipld::String(text));
        }
        named(&invoke(&key(by), new).unwrap(), did_of(&key(1)), did_of(&key(2)))
    }

    #[test]
    fn the_logs_name_is_what_the_operator_says_of_this_sequencer() {
        let name = "log.example.com/test";
        let found = first("/log/genesis", 1, 1, 2, name).unwrap();
        assert_eq!((found.name().as_str(), found.did()), (name, did_of(&key(2))));
        assert!(first("/log/genesis", 2, 1, 2, name).is_none(), "by the sequencer");
        assert!(first("/log/genesis", 1, 3, 2, name).is_none(), "of somebody else's log");
        assert!(first("/log/genesis", 1, 1, 3, name).is_none(), "with another sequencer");
        assert!(first("/tenant/create", 1, 1, 2, name).is_none());
        assert!(first("/log/genesis", 1, 1, 2, "two words").is_none());
    }
}
