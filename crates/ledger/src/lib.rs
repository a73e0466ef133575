//! The pure state machine: state is a fold over the log.
