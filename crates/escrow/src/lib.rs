//! EIP-712 digests and ABI of the escrow contract.
