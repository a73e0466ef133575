//! State, tree and head together: admits statements, verifies entries, replays logs.
