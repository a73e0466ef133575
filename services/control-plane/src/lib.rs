//! The sequencer and its HTTP API.
