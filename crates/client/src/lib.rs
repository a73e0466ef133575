//! HTTP client of the control plane and of signers.
