//! One FROST participant: follows the log, decides again, signs what it decided.
