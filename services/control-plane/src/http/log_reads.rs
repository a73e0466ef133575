//! Reads of the log: entries, tiles, proofs, checkpoints; and the quorum's signatures on them.

use super::{
    auth::{self, everything},
    problem::Failure,
    query::{Params, Segment},
    raw::Raw,
};
use crate::{
    checkpoint::{Published, quorum_key},
    feed::Event,
    health::Stop,
    plane::Plane,
    register::Put,
    snapshot::Snapshot,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Cid, Digest};
use log::{Hash, Note, SourceError, TilePath, TileRef};
use messages::{Base64, EntriesView, LogEntryView, ProblemType as Type, ProofView};
use serde::Deserialize;
use std::sync::Arc;
use storage::{Error, Storage, StoredEntry};

const COMMAND: &str = "/read/log";
/// Most entries of one answer. It ends earlier when they come to [`storage::MAX_PAGE_BYTES`]; whoever reads on asks for the
/// next one.
pub(crate) const MAX_ENTRIES: u32 = 1000;
pub(crate) const DEFAULT_ENTRIES: u32 = 100;

fn not_found(what: &str) -> Failure {
    Failure::new(Type::NotFound, what)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    from: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn entries(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Range>,
) -> Result<Json<EntriesView>, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let range = params.get()?;
    let (from, limit) = (range.from.unwrap_or(0), range.limit.unwrap_or(DEFAULT_ENTRIES));
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(Failure::new(Type::MalformedRequest, "limit is 1 to 1000").field("limit"));
    }
    let head = plane.now().replica.head().map(|h| h.seq);
    let stored = plane.gate.read(move |s| s.entries(from, limit)).await?;
    // An entry is shown once this process has published it, in the order of its own view.
    let entries = stored.into_iter().filter(|e| Some(e.seq) <= head).map(entry_view).collect();
    Ok(Json(EntriesView { entries, head }))
}

/// Whom the operator has appointed to sign, as it was said: with every delegation of the chain, also those that the log
/// held before, so that nobody has to take this process's word for it.
pub(crate) async fn quorum_statement(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
) -> Result<Json<LogEntryView>, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let seq = plane.now().replica.state().quorum_seq().ok_or_else(|| not_found("no quorum is active"))?;
    let stored = plane.gate.read(move |storage| with_chain(storage, seq)).await?;
    stored.map(entry_view).map(Json).ok_or_else(|| crate::gate::ReadFailed::Unavailable.into())
}

fn with_chain(storage: &Storage, seq: u64) -> Result<Option<StoredEntry>, Error> {
    let Some(mut entry) = storage.entries(seq, 1)?.into_iter().next().filter(|entry| entry.seq == seq) else {
        return Ok(None);
    };
    let statement = entry.tokens.first().and_then(|token| ucan::open_invocation(&token.bytes).ok());
    let Some(statement) = statement else { return Ok(None) };
    let is_new = |proof: &Cid| entry.tokens.iter().any(|token| token.cid == *proof);
    let held: Vec<Cid> = statement.proofs().iter().filter(|proof| !is_new(proof)).copied().collect();
    entry.tokens.extend(storage.token_many(&held)?);
    Ok(Some(entry))
}

pub(crate) fn entry_view(entry: StoredEntry) -> LogEntryView {
    let tokens = entry.tokens.into_iter().map(|t| Base64(t.bytes)).collect();
    LogEntryView { seq: entry.seq, entry: Base64(entry.bytes), tokens }
}

/// The newest note. It commits to the log without showing it, so everyone may have it.
pub(crate) async fn newest_checkpoint(State(plane): State<Arc<Plane>>) -> Result<Response, Failure> {
    let latest = plane.latest.load_full().ok_or_else(|| not_found("no checkpoint has been signed yet"))?;
    Ok(text(latest.text.to_string()))
}

/// The stored note of the largest size up to the one asked for: the one that a quorum cosigns.
pub(crate) async fn stored_checkpoint(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    Segment(size): Segment,
) -> Result<Response, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let size: u64 = size.parse().map_err(|_| not_found("not a size").field("size"))?;
    let (register, health) = (Arc::clone(&plane.register), Arc::clone(&plane.health));
    let read = move |_: &Storage| {
        let found = register.at_or_before(size);
        if let Err(Error::Corrupt { .. }) = found {
            health.stop(Stop::Corrupt);
        }
        found
    };
    let stored = plane.gate.read(read).await?;
    let none = || not_found("no checkpoint of this size or a smaller one is stored").field("size");
    Ok(text(stored.ok_or_else(none)?.note))
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

pub(crate) async fn tile(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    Segment(rest): Segment,
) -> Result<Response, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let none = |what: &str| not_found(what).field("path");
    let path: TilePath =
        format!("tile/{rest}").parse().map_err(|_| none("not the path of a tile (C2SP tlog-tiles)"))?;
    let snapshot = plane.now();
    let bytes = match path {
        TilePath::Tile(wanted) => merkle_tile(&plane, snapshot, wanted).await?,
        TilePath::Entries { index, width } => entry_tile(&plane, &snapshot, index, width).await?,
    };
    let bytes = bytes.ok_or_else(|| none("the log has no such tile yet"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

async fn merkle_tile(plane: &Arc<Plane>, snapshot: Arc<Snapshot>, wanted: TileRef) -> Result<Option<Vec<u8>>, Failure> {
    let hashes = plane
        .gate
        .read(move |storage| {
            let Some(there) = TileRef::of(snapshot.replica.tree().size(), wanted.level, wanted.index) else {
                return Ok(None);
            };
            if wanted.width > there.width { Ok(None) } else { Source { storage, snapshot: &snapshot }.read(there) }
        })
        .await?;
    let bytes = usize::from(wanted.width).saturating_mul(32);
    Ok(hashes.map(|mut hashes| {
        hashes.truncate(bytes);
        hashes
    }))
}

async fn entry_tile(
    plane: &Arc<Plane>,
    snapshot: &Snapshot,
    index: u64,
    width: u16,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(first) = index.checked_mul(256) else { return Ok(None) };
    if first.saturating_add(u64::from(width)) > snapshot.replica.next_seq() {
        return Ok(None);
    }
    let entries = plane.gate.read(move |storage| bundle(storage, first, width)).await?;
    log::encode_entry_bundle(&entries).map(Some).map_err(|e| Failure::new(Type::Internal, e.to_string()))
}

/// The bytes of so many entries, which may be more than one page holds.
fn bundle(storage: &Storage, first: u64, width: u16) -> Result<Vec<Vec<u8>>, Error> {
    let mut entries = Vec::with_capacity(usize::from(width));
    loop {
        let read = u16::try_from(entries.len()).unwrap_or(width);
        let page = storage.entries(first.saturating_add(read.into()), width.saturating_sub(read).into())?;
        if page.is_empty() {
            return Ok(entries);
        }
        entries.extend(page.into_iter().map(|entry| entry.bytes));
    }
}

/// Tiles as the committed log has them: full ones from the database, the incomplete right edge from memory.
struct Source<'a> {
    storage: &'a Storage,
    snapshot: &'a Snapshot,
}

impl Source<'_> {
    fn read(&self, wanted: TileRef) -> Result<Option<Vec<u8>>, Error> {
        if wanted.is_full() {
            return self.storage.tile(wanted.level, wanted.index);
        }
        let edge = self.snapshot.replica.tree().partial_tile(wanted.level).filter(|t| t.index == wanted.index);
        match edge {
            Some(tile) => Ok(Some(tile.hashes)),
            // The tree has grown past it since the size that was asked for.
            None => self.storage.tile(wanted.level, wanted.index),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inclusion {
    seq: u64,
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consistency {
    old: u64,
    new: Option<u64>,
}

pub(crate) async fn inclusion(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Inclusion>,
) -> Result<Json<ProofView>, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let asked = params.get()?;
    proof(&plane, ("seq", "size"), asked.size, move |size, source| log::inclusion_proof(size, asked.seq, &source)).await
}

pub(crate) async fn consistency(
    State(plane): State<Arc<Plane>>,
    headers: HeaderMap,
    params: Params<Consistency>,
) -> Result<Json<ProofView>, Failure> {
    everything(auth::reader(&plane, &headers, COMMAND).await?)?;
    let asked = params.get()?;
    proof(&plane, ("old", "new"), asked.new, move |size, source| log::consistency_proof(asked.old, size, &source)).await
}

type Tiles<'a> = &'a dyn Fn(TileRef) -> Option<Vec<u8>>;

/// A proof in the tree of `size` leaves; the parameters are those that say of what, and in which tree.
async fn proof(
    plane: &Arc<Plane>,
    (of, within): (&'static str, &'static str),
    size: Option<u64>,
    prove: impl FnOnce(u64, Tiles<'_>) -> Result<Vec<Hash>, SourceError> + Send + 'static,
) -> Result<Json<ProofView>, Failure> {
    let snapshot = plane.now();
    let newest = snapshot.replica.next_seq();
    let size = size.unwrap_or(newest);
    if size > newest {
        return Err(Failure::new(Type::NotFound, format!("the log has {newest} entries")).field(within));
    }
    let proved = plane
        .gate
        .read(move |storage| {
            let source = Source { storage, snapshot: &snapshot };
            Ok(prove(size, &|tile| source.read(tile).ok().flatten()))
        })
        .await?;
    let hashes = proved.map_err(|error| match error {
        SourceError::Range { .. } => Failure::new(Type::NotFound, error.to_string()).field(of),
        SourceError::Tile(_) => crate::gate::ReadFailed::Unavailable.into(),
    })?;
    Ok(Json(ProofView { hashes: hashes.into_iter().map(|h| Digest::from_bytes(*h.as_bytes())).collect() }))
}

/// Takes a quorum's signature on a stored checkpoint. The note proves itself, so nobody's right is asked for.
pub(crate) async fn cosign(State(plane): State<Arc<Plane>>, Raw(body): Raw) -> Result<StatusCode, Failure> {
    let bad = |detail: String| Failure::new(Type::MalformedRequest, detail).field("note");
    let text = std::str::from_utf8(&body).map_err(|_| bad("a note is UTF-8".to_owned()))?;
    let note = Note::parse(text).map_err(|e| bad(e.to_string()))?;
    let snapshot = plane.now();
    let own = plane.note_key(&snapshot).ok_or_else(|| not_found("the log has no name yet"))?;
    let quorum = quorum_key(own.name(), &snapshot).ok_or_else(|| not_found("no quorum is active"))?;
    let verified = note
        .verify(own.name(), &[own.clone(), quorum.clone()])
        .map_err(|e| Failure::new(Type::SignatureInvalid, e.to_string()).field("note"))?;
    // Lines of unknown keys would stay in the note for ever.
    if !verified.signed_by(&own) || !verified.signed_by(&quorum) || note.lines() != 2 {
        let detail = "send the stored checkpoint with exactly two lines: the log's and the active quorum's";
        return Err(Failure::new(Type::SignatureInvalid, detail).field("note"));
    }
    let (size, text): (u64, Arc<str>) = (verified.size, note.to_string().into());
    let stored = Arc::clone(&text);
    let register = Arc::clone(&plane.register);
    // Only what this process has stored itself, root and all, is extended.
    let outcome = plane.gate.read(move |_| register.extend(size, &stored, &quorum)).await?;
    match outcome {
        Some(Put::Conflict(_)) | None => {
            let detail = "not the stored checkpoint of this size: cosign the note of /v1/log/checkpoints/{size}";
            Err(Failure::new(Type::Conflict, detail).field("note"))
        }
        // Told once: whoever sends a stored note again must not wake every follower again.
        Some(Put::Kept) => Ok(StatusCode::NO_CONTENT),
        Some(Put::Stored) => {
            publish(&plane, &Published { size, text });
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

/// Shows the quorum's signature to followers, and to everyone while no newer size is out.
fn publish(plane: &Plane, cosigned: &Published) {
    plane.feed.publish(Event::Checkpoint { size: cosigned.size, text: Arc::clone(&cosigned.text) });
}
