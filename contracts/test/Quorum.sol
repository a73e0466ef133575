// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Base, Vm} from "./Base.sol";
import {IEscrow} from "../src/interfaces/IEscrow.sol";
import {FrostSecp256k1} from "../src/libraries/FrostSecp256k1.sol";

/// Signs as a quorum would. A FROST group signature satisfies the equation of a signature by one key, so tests hold
/// the whole key; the vectors in `test/vectors` come from real quorums.
abstract contract Quorum is Base {
    struct Key {
        uint256 secret;
        uint256 px;
        uint256 py;
    }

    function keyOf(uint256 secret) internal returns (Key memory) {
        Vm.Wallet memory w = vm.createWallet(secret);
        return Key(secret, w.publicKeyX, w.publicKeyY);
    }

    function sign(Key memory key, bytes32 message) internal returns (IEscrow.Signature memory s) {
        uint256 n = FrostSecp256k1.N;
        uint256 k = 1 + uint256(keccak256(abi.encode(key.secret, message))) % (n - 1);
        Vm.Wallet memory r = vm.createWallet(k);
        uint256 c = FrostSecp256k1.challenge(key.px, uint8(key.py & 1), r.publicKeyX, r.publicKeyY, message);
        return IEscrow.Signature(r.publicKeyX, r.publicKeyY, addmod(k, mulmod(c, key.secret, n), n));
    }

    function typed(bytes32 domainSeparator, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }

    function digest(IEscrow escrow, IEscrow.SetCap memory c) internal view returns (bytes32) {
        bytes32 t = keccak256("SetCap(address asset,uint256 cap,uint64 nonce,uint64 validUntil,uint64 epoch)");
        return typed(escrow.domainSeparator(), keccak256(abi.encode(t, c)));
    }

    function digest(IEscrow escrow, IEscrow.Thaw memory c) internal view returns (bytes32) {
        bytes32 t = keccak256("Thaw(address guardian,uint64 nonce,uint64 validUntil,uint64 epoch)");
        return typed(escrow.domainSeparator(), keccak256(abi.encode(t, c)));
    }

    function digest(IEscrow escrow, IEscrow.Rotate memory c) internal view returns (bytes32) {
        bytes32 t = keccak256("Rotate(uint256 px,uint256 py,uint64 nonce,uint64 validUntil,uint64 epoch)");
        return typed(escrow.domainSeparator(), keccak256(abi.encode(t, c)));
    }
}
