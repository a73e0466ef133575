use super::{Cast, Opened};
use crate::{ProvenEntry, ReceiptError, Step};
use ledger::{Origin, Quorum, args};
use log::{Checkpoint, Note, NoteKey, verify_inclusion};

/// The log's own key and the quorum's, as notes name them.
pub(crate) fn keys(genesis: &args::Genesis, quorum: &Quorum) -> Option<[NoteKey; 2]> {
    let origin = Origin {
        name: genesis.origin.clone(),
        sequencer: genesis.sequencer,
        issuer: genesis.issuer,
        clock_tolerance: genesis.clock_tolerance,
        lift_admins: genesis.lift_admins,
    };
    let own = NoteKey::new(replica::key_name(&origin)?, &origin.sequencer).ok()?;
    Some([own, replica::quorum_key(&origin, quorum)?])
}

/// The note is signed by both keys and by nobody else, and every entry is in the tree that it is about.
pub(super) fn check(
    text: &str,
    cast: &Cast<'_>,
    opened: &[Opened],
    file: &[ProvenEntry],
) -> Result<Checkpoint, ReceiptError> {
    let bad = |detail: &dyn ToString| ReceiptError::new(Step::Checkpoint, detail.to_string());
    let note = Note::parse(text).map_err(|e| bad(&e))?;
    if note.to_string() != text {
        return Err(bad(&"not the canonical form of a note"));
    }
    let keys = keys(cast.genesis.1, cast.quorum.1).ok_or_else(|| bad(&"the log's keys cannot sign notes"))?;
    let [own, _] = &keys;
    let verified = note.verify(own.name(), &keys).map_err(|e| bad(&e))?;
    let lines = text.rsplit_once("\n\n").map_or(0, |(_, lines)| lines.lines().count());
    if lines != keys.len() || !keys.iter().all(|key| verified.signed_by(key)) {
        return Err(bad(&"it must be signed by the log's key and the quorum, and by no other"));
    }
    let checkpoint = verified.into_inner();
    for (entry, file) in opened.iter().zip(file) {
        verify_inclusion(entry.seq(), checkpoint.size, &entry.leaf, &checkpoint.root, &file.proof)
            .map_err(|e| ReceiptError::at(Step::Inclusion, entry.seq(), e))?;
    }
    Ok(checkpoint)
}
