// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Verifier of FROST(secp256k1, SHA-256) group signatures over 32-byte messages (RFC 9591, §6.5)
/// @notice Checks z·G = R + c·P. `ecrecover(-z·px, parity(P), px, -c·px)` is the address of z·G - c·P, so one
/// precompile call and a hash of R stand for the curve arithmetic. Any parity of P works.
library FrostSecp256k1 {
    /// Order of the group.
    uint256 internal constant N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    /// Characteristic of the field.
    uint256 internal constant P = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    /// contextString || "chal", RFC 9591 §6.5 (H2), 29 bytes.
    bytes32 private constant DST = "FROST-secp256k1-SHA256-v1chal";

    /// @notice Whether (x, y) is an affine point of the curve y² = x³ + 7.
    function isOnCurve(uint256 x, uint256 y) internal pure returns (bool) {
        if (x >= P || y >= P) return false;
        return mulmod(y, y, P) == addmod(mulmod(mulmod(x, x, P), x, P), 7, P);
    }

    /// @notice Whether signatures of the key (px, py) can be checked here. To be asked once, before the key is used:
    /// px must be below N because `ecrecover` takes it as a scalar.
    function isValidKey(uint256 px, uint256 py) internal pure returns (bool) {
        return px < N && isOnCurve(px, py);
    }

    /// @notice Whether (R, z) is the key's signature over `message`.
    /// @param px x coordinate of a key for which `isValidKey` held.
    /// @param parity The lowest bit of the key's y coordinate.
    function verify(uint256 px, uint8 parity, uint256 rx, uint256 ry, uint256 z, bytes32 message)
        internal
        view
        returns (bool)
    {
        if (z == 0 || z >= N || !isOnCurve(rx, ry)) return false;
        uint256 c = challenge(px, parity, rx, ry, message);
        if (c == 0) return false;
        address recovered =
            ecrecover(bytes32(N - mulmod(z, px, N)), 27 + parity, bytes32(px), bytes32(N - mulmod(c, px, N)));
        return recovered != address(0) && recovered == addressOf(rx, ry);
    }

    /// @notice The challenge c = H2(R || P || message): RFC 9380 hash_to_field with expand_message_xmd over SHA-256,
    /// one element of 48 bytes, points in SEC 1 compressed form.
    /// @dev Written in memory by hand because this is most of a verification's gas. The 195-byte preimage of b0 is
    /// Z_pad(64) || R(33) || P(33) || message(32) || 0x0030 || 0x00 || DST(29) || 0x1d. The preimages of b1 and b2 are
    /// 32 bytes || counter || DST || 0x1d, laid over its tail so that DST stays in place.
    function challenge(uint256 px, uint8 parity, uint256 rx, uint256 ry, bytes32 message)
        internal
        view
        returns (uint256 c)
    {
        bytes32 dst = DST;
        uint256 n = N;
        assembly ("memory-safe") {
            let p := mload(0x40)
            // Memory past the free pointer may be dirty; Z_pad must be zero.
            mstore(p, 0)
            mstore(add(p, 32), 0)
            mstore8(add(p, 64), add(2, and(ry, 1)))
            mstore(add(p, 65), rx)
            mstore8(add(p, 97), add(2, parity))
            mstore(add(p, 98), px)
            mstore(add(p, 130), message)
            mstore(add(p, 162), shl(232, 0x003000))
            mstore(add(p, 165), dst)
            mstore8(add(p, 194), 29)
            if iszero(staticcall(gas(), 2, p, 195, 0x00, 0x20)) { revert(0, 0) }
            let b0 := mload(0x00)
            mstore(add(p, 132), b0)
            mstore8(add(p, 164), 1)
            if iszero(staticcall(gas(), 2, add(p, 132), 63, 0x00, 0x20)) { revert(0, 0) }
            let b1 := mload(0x00)
            mstore(add(p, 132), xor(b0, b1))
            mstore8(add(p, 164), 2)
            if iszero(staticcall(gas(), 2, add(p, 132), 63, 0x00, 0x20)) { revert(0, 0) }
            // The 48-byte big-endian integer b1 || b2[0..16], reduced.
            c := addmod(mulmod(b1, shl(128, 1), n), shr(128, mload(0x00)), n)
        }
    }

    /// @notice The address of an affine point, as `ecrecover` computes it.
    function addressOf(uint256 x, uint256 y) internal pure returns (address a) {
        assembly ("memory-safe") {
            mstore(0x00, x)
            mstore(0x20, y)
            a := and(keccak256(0x00, 0x40), 0xffffffffffffffffffffffffffffffffffffffff)
        }
    }
}
