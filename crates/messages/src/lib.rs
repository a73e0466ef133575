//! Wire types between processes, authenticated envelopes, problem types.
