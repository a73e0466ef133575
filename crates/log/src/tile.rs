use crate::{Hash, MAX_ENTRY_BYTES};
use std::{fmt, str::FromStr};

/// Hashes in a full tile, entries in a full bundle (C2SP tlog-tiles).
pub const TILE_WIDTH: u16 = 256;

/// Levels above this one cannot exist in a tree of at most 2^64 leaves: each level takes off eight bits.
pub(crate) const MAX_LEVEL: u8 = 7;

/// Which tile of a tree, and how many of its hashes. Level 0 holds leaf hashes, level L the roots of full tiles of
/// level L-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileRef {
    /// Level, 0 to 7.
    pub level: u8,
    /// Position within the level, from 0.
    pub index: u64,
    /// Hashes in the tile: 256, or 1 to 255 for a partial tile.
    pub width: u16,
}

/// A tile and its hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Level, 0 to 7.
    pub level: u8,
    /// Position within the level, from 0.
    pub index: u64,
    /// The hashes one after the other, 32 bytes each, 1 to 256 of them.
    pub hashes: Vec<u8>,
}

/// A path under a log's URL prefix that names a tile or an entry bundle (C2SP tlog-tiles):
/// `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, `<N>` in groups of three digits such as `x001/x234/067`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// A Merkle tree tile.
    Tile(TileRef),
    /// An entry bundle.
    Entries {
        /// Position, from 0: the bundle begins with entry `256 * index`.
        index: u64,
        /// Entries in the bundle: 256, or 1 to 255 for a partial bundle.
        width: u16,
    },
}

/// A path does not name a tile or an entry bundle in canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected tile/<L>/<N>[.p/<W>] or tile/entries/<N>[.p/<W>]")]
pub struct ParsePathError;

/// Bytes are not an entry bundle, or entries do not fit in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A bundle has 1 to 256 entries.
    #[error("an entry bundle has 1 to {TILE_WIDTH} entries")]
    Count,
    /// An entry is longer than its 16-bit length prefix can say.
    #[error("an entry in a bundle has at most {MAX_ENTRY_BYTES} bytes")]
    EntryTooLarge,
    /// The bytes end within an entry or its length.
    #[error("the entry bundle is cut short")]
    Truncated,
}

impl TileRef {
    /// The tile at `level`, `index` as a tree of `size` leaves has it; `None` when the tree has no such hashes yet.
    pub fn of(size: u64, level: u8, index: u64) -> Option<Self> {
        if level > MAX_LEVEL {
            return None;
        }
        let hashes = size.checked_shr(u32::from(level).checked_mul(8)?)?;
        let left = hashes.checked_sub(index.checked_mul(u64::from(TILE_WIDTH))?).filter(|n| *n > 0)?;
        let width = u16::try_from(left).unwrap_or(TILE_WIDTH).min(TILE_WIDTH);
        Some(Self { level, index, width })
    }

    /// Whether all 256 hashes are there, so that the tile never changes again.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
}

impl Tile {
    /// Coordinates and width of this tile.
    pub fn coordinates(&self) -> TileRef {
        let width = self.hashes.len().checked_div(32).and_then(|n| u16::try_from(n).ok()).unwrap_or(TILE_WIDTH);
        TileRef { level: self.level, index: self.index, width }
    }
}

/// The first `width` hashes of tile bytes; `None` when there are fewer, more than 256, or a fraction of one.
pub(crate) fn hashes(bytes: &[u8], width: u16) -> Option<Vec<Hash>> {
    let (all, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || all.len() > usize::from(TILE_WIDTH) {
        return None;
    }
    Some(all.get(..usize::from(width))?.iter().map(|h| Hash::from_bytes(*h)).collect())
}

fn write_index(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let digits = index.to_string();
    let groups = digits.len().div_ceil(3);
    let padded = format!("{index:0>width$}", width = groups.saturating_mul(3));
    for (i, group) in padded.as_bytes().chunks(3).enumerate() {
        let mark = if i.saturating_add(1) == groups { "" } else { "x" };
        write!(f, "/{mark}{}", String::from_utf8_lossy(group))?;
    }
    if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Tile(t) => {
                write!(f, "tile/{}", t.level)?;
                write_index(f, t.index, t.width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries")?;
                write_index(f, index, width)
            }
        }
    }
}

/// Longest path: `tile/entries`, seven groups of an index, `.p/255`, with room to spare.
const MAX_PATH_BYTES: usize = 64;

impl FromStr for TilePath {
    type Err = ParsePathError;

    fn from_str(path: &str) -> Result<Self, ParsePathError> {
        parse_path(path)
            // One tile, one path: leading zeroes, stray signs and superfluous groups all fail this.
            .filter(|parsed| parsed.to_string() == path)
            .ok_or(ParsePathError)
    }
}

fn parse_path(path: &str) -> Option<TilePath> {
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, w)) => (groups, w.parse::<u16>().ok().filter(|w| (1..TILE_WIDTH).contains(w))?),
        None => (rest, TILE_WIDTH),
    };
    let digits: String = groups.split('/').map(|g| g.strip_prefix('x').unwrap_or(g)).collect();
    let index = digits.parse().ok()?;
    match kind {
        "entries" => Some(TilePath::Entries { index, width }),
        level => {
            let level = level.parse().ok().filter(|l| *l <= MAX_LEVEL)?;
            Some(TilePath::Tile(TileRef { level, index, width }))
        }
    }
}

/// Writes an entry bundle: each entry after its length as a big-endian `u16` (C2SP tlog-tiles).
pub fn encode_entry_bundle<B: AsRef<[u8]>>(entries: &[B]) -> Result<Vec<u8>, BundleError> {
    if entries.is_empty() || entries.len() > usize::from(TILE_WIDTH) {
        return Err(BundleError::Count);
    }
    let mut buf = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let len = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLarge)?;
        buf.extend_from_slice(&len.to_be_bytes());
        buf.extend_from_slice(entry);
    }
    Ok(buf)
}

/// Reads an entry bundle of at most 256 entries.
pub fn decode_entry_bundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        if entries.len() == usize::from(TILE_WIDTH) {
            return Err(BundleError::Count);
        }
        let (len, rest) = bytes.split_first_chunk::<2>().ok_or(BundleError::Truncated)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (entry, rest) = rest.split_at_checked(len).ok_or(BundleError::Truncated)?;
        entries.push(entry);
        bytes = rest;
    }
    if entries.is_empty() { Err(BundleError::Count) } else { Ok(entries) }
}
