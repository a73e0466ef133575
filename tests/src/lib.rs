//! End-to-end, conformance, fault and layer tests.
