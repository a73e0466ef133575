// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Quorum} from "../Quorum.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {FrostSecp256k1 as Frost} from "../../src/libraries/FrostSecp256k1.sol";

contract FrostSecp256k1Test is Quorum {
    Key internal key;

    function setUp() public {
        key = keyOf(0xC0FFEE);
    }

    function check(IEscrow.Signature memory s, bytes32 message) internal view returns (bool) {
        return Frost.verify(key.px, uint8(key.py & 1), s.rx, s.ry, s.z, message);
    }

    /// The challenge written from RFC 9380 word by word, to hold the assembly against.
    function plainChallenge(uint256 px, uint8 parity, uint256 rx, uint256 ry, bytes32 m)
        internal
        pure
        returns (uint256)
    {
        bytes memory dst = abi.encodePacked("FROST-secp256k1-SHA256-v1chal", uint8(29));
        bytes memory points = abi.encodePacked(uint8(2 + (ry & 1)), rx, uint8(2 + parity), px);
        bytes32 b0 = sha256(abi.encodePacked(new bytes(64), points, m, uint16(48), uint8(0), dst));
        bytes32 b1 = sha256(abi.encodePacked(b0, uint8(1), dst));
        bytes32 b2 = sha256(abi.encodePacked(b0 ^ b1, uint8(2), dst));
        return addmod(mulmod(uint256(b1), 1 << 128, Frost.N), uint256(b2) >> 128, Frost.N);
    }

    function test_challenge_equals_plain(uint256 px, uint256 py, uint256 rx, uint256 ry, bytes32 m) public view {
        uint8 parity = uint8(py & 1);
        // Dirty memory past the free pointer must not matter.
        assembly ("memory-safe") {
            let p := mload(0x40)
            for { let i := 0 } lt(i, 256) { i := add(i, 32) } { mstore(add(p, i), not(0)) }
        }
        uint256 fast = Frost.challenge(px, parity, rx, ry, m);
        vm.assertEq(fast, plainChallenge(px, parity, rx, ry, m));
    }

    function test_verify_accepts_any_key(uint256 secret, bytes32 message) public {
        key = keyOf(bound(secret, 1, Frost.N - 1));
        vm.assertTrue(check(sign(key, message), message));
    }

    function test_verify_refuses_other_message(bytes32 signedMessage, bytes32 message) public {
        vm.assume(signedMessage != message);
        vm.assertFalse(check(sign(key, signedMessage), message));
    }

    function test_verify_refuses_other_key(uint256 secret, bytes32 message) public {
        secret = bound(secret, 1, Frost.N - 1);
        vm.assume(secret != key.secret);
        vm.assertFalse(check(sign(keyOf(secret), message), message));
    }

    function test_verify_refuses_flipped_bit(uint8 which, uint8 bit, bytes32 message) public {
        IEscrow.Signature memory s = sign(key, message);
        uint256 mask = uint256(1) << bit;
        if (which % 3 == 0) s.rx ^= mask;
        else if (which % 3 == 1) s.ry ^= mask;
        else s.z ^= mask;
        vm.assertFalse(check(s, message));
    }

    function test_verify_refuses_noise(uint256 rx, uint256 ry, uint256 z, bytes32 message) public view {
        vm.assertFalse(check(IEscrow.Signature(rx, ry, z), message));
    }

    function test_verify_refuses_z_out_of_range(bytes32 message) public {
        IEscrow.Signature memory s = sign(key, message);
        s.z = 0;
        vm.assertFalse(check(s, message));
        s.z = Frost.N;
        vm.assertFalse(check(s, message));
        s.z = type(uint256).max;
        vm.assertFalse(check(s, message));
    }

    function test_verify_refuses_r_off_curve(bytes32 message) public {
        IEscrow.Signature memory s = sign(key, message);
        vm.assertFalse(check(IEscrow.Signature(0, 0, s.z), message));
        vm.assertFalse(check(IEscrow.Signature(s.rx, addmod(s.ry, 1, Frost.P), s.z), message));
        vm.assertFalse(check(IEscrow.Signature(Frost.P, s.ry, s.z), message));
        vm.assertFalse(check(IEscrow.Signature(s.rx, Frost.P, s.z), message));
    }

    /// The mirrored R has the same x; both its hash and its address differ.
    function test_verify_refuses_negated_r(bytes32 message) public {
        IEscrow.Signature memory s = sign(key, message);
        s.ry = Frost.P - s.ry;
        vm.assertFalse(check(s, message));
    }

    function test_key_bounds() public view {
        vm.assertTrue(Frost.isValidKey(key.px, key.py));
        vm.assertTrue(Frost.isValidKey(key.px, Frost.P - key.py));
        vm.assertFalse(Frost.isValidKey(0, 0));
        vm.assertFalse(Frost.isValidKey(key.px, key.py + 1));
        vm.assertFalse(Frost.isValidKey(Frost.P, key.py));
        vm.assertFalse(Frost.isValidKey(key.px, Frost.P));
    }

    /// The smallest x coordinate of a curve point that is at least N: on the curve, yet no key.
    function test_key_refuses_x_above_order() public pure {
        uint256 x = Frost.N;
        for (;; ++x) {
            uint256 square = addmod(mulmod(mulmod(x, x, Frost.P), x, Frost.P), 7, Frost.P);
            uint256 y = power(square, (Frost.P + 1) / 4);
            if (mulmod(y, y, Frost.P) != square) continue;
            vm.assertTrue(Frost.isOnCurve(x, y));
            vm.assertFalse(Frost.isValidKey(x, y));
            return;
        }
    }

    function power(uint256 base, uint256 exponent) internal pure returns (uint256 result) {
        result = 1;
        for (; exponent != 0; exponent >>= 1) {
            if (exponent & 1 == 1) result = mulmod(result, base, Frost.P);
            base = mulmod(base, base, Frost.P);
        }
    }

    function test_addressOf_is_account_address(uint256 secret) public {
        secret = bound(secret, 1, Frost.N - 1);
        Key memory k = keyOf(secret);
        vm.assertEq(Frost.addressOf(k.px, k.py), vm.addr(secret));
    }
}
