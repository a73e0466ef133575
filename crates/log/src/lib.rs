//! Hash-chained, Merkle-treed log: entries, tiles, checkpoints, proofs.
