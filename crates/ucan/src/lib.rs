//! UCAN 1.0 delegations, invocations, policies and containers: issue and verify.
