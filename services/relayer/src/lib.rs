//! Carries signatures to the chain. Has no authority.
