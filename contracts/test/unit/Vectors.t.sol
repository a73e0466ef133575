// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Base} from "../Base.sol";
import {TestUSDC} from "../TestUSDC.sol";
import {Escrow} from "../../src/Escrow.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {FrostSecp256k1} from "../../src/libraries/FrostSecp256k1.sol";

/// What the Rust crate computes, held against what the contract computes.
contract VectorsTest is Base {
    function load(string memory name) internal view returns (string memory) {
        return vm.readFile(string.concat("test/vectors/", name, ".json"));
    }

    function test_payout_digests() public {
        string memory json = load("payout-digests");
        uint256[] memory chains = vm.parseJsonUintArray(json, ".chain");
        address[] memory contracts = vm.parseJsonAddressArray(json, ".contract");
        bytes[] memory payouts = vm.parseJsonBytesArray(json, ".payout");
        bytes32[] memory digests = vm.parseJsonBytes32Array(json, ".digest");
        vm.assertEq(digests.length, 1000);
        // Any valid key will do, here the generator.
        Escrow escrow = new Escrow(
            0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
            0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
            address(1),
            new IEscrow.Cap[](0)
        );
        for (uint256 i; i < digests.length; ++i) {
            vm.chainId(chains[i]);
            vm.etch(contracts[i], address(escrow).code);
            vm.assertEq(IEscrow(contracts[i]).payoutDigest(unpack(payouts[i])), digests[i]);
            vm.etch(contracts[i], "");
        }
    }

    function word(bytes memory b, uint256 offset, uint256 length) internal pure returns (uint256 w) {
        assembly ("memory-safe") {
            w := mload(add(add(b, 32), offset))
        }
        return w >> (256 - 8 * length);
    }

    function unpack(bytes memory b) internal pure returns (IEscrow.Payout memory p) {
        p.intent = bytes32(word(b, 0, 32));
        p.installation = bytes32(word(b, 32, 32));
        p.order = bytes32(word(b, 64, 32));
        p.asset = address(uint160(word(b, 96, 20)));
        p.validUntil = uint64(word(b, 116, 8));
        p.epoch = uint64(word(b, 124, 8));
        uint256 count = (b.length - 132) / 36;
        p.recipients = new address[](count);
        p.amounts = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            p.recipients[i] = address(uint160(word(b, 132 + 36 * i, 20)));
            p.amounts[i] = word(b, 152 + 36 * i, 16);
        }
    }

    struct Columns {
        uint256[] px;
        uint256[] py;
        bytes32[] message;
        uint256[] rx;
        uint256[] ry;
        uint256[] z;
        bytes[] frost;
    }

    function test_frost_signatures() public view {
        string memory json = load("frost-signatures");
        Columns memory c;
        c.px = vm.parseJsonUintArray(json, ".px");
        c.py = vm.parseJsonUintArray(json, ".py");
        c.message = vm.parseJsonBytes32Array(json, ".message");
        c.rx = vm.parseJsonUintArray(json, ".rx");
        c.ry = vm.parseJsonUintArray(json, ".ry");
        c.z = vm.parseJsonUintArray(json, ".z");
        c.frost = vm.parseJsonBytesArray(json, ".frost");
        vm.assertEq(c.message.length, 48);
        uint256 odd;
        for (uint256 i; i < c.message.length; ++i) {
            odd += c.py[i] & 1;
            vm.assertEq(c.frost[i], abi.encodePacked(uint8(2 + (c.ry[i] & 1)), c.rx[i], c.z[i]));
            vm.assertTrue(FrostSecp256k1.isValidKey(c.px[i], c.py[i]));
            vm.assertTrue(verify(c, i, 0, c.z[i], 0));
            vm.assertFalse(verify(c, i, 1, c.z[i], 0));
            vm.assertFalse(verify(c, i, 0, FrostSecp256k1.N - c.z[i], 0));
            vm.assertFalse(verify(c, i, 0, c.z[i], 1));
        }
        // Both parities of keys are among the vectors.
        vm.assertTrue(odd != 0 && odd != c.message.length);
    }

    function verify(Columns memory c, uint256 i, uint8 parityFlip, uint256 z, uint256 messageFlip)
        internal
        view
        returns (bool)
    {
        uint8 parity = uint8(c.py[i] & 1) ^ parityFlip;
        bytes32 message = c.message[i] ^ bytes32(messageFlip);
        return FrostSecp256k1.verify(c.px[i], parity, c.rx[i], c.ry[i], z, message);
    }

    string private _life;
    address private _deployer;
    address private _contract;

    function send(address target, uint256 value, string memory field) internal {
        bytes memory data = vm.parseJsonBytes(_life, field);
        vm.prank(_deployer);
        (bool ok, bytes memory reason) = target.call{value: value}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    function read(string memory field) internal view returns (uint256) {
        (bool ok, bytes memory returned) = _contract.staticcall(vm.parseJsonBytes(_life, field));
        vm.assertTrue(ok);
        return abi.decode(returned, (uint256));
    }

    function deploy(bytes memory code) internal returns (address created) {
        vm.prank(_deployer);
        assembly ("memory-safe") {
            created := create(0, add(code, 32), mload(code))
        }
    }

    function test_life_of_a_contract() public {
        _life = load("life");
        _deployer = vm.parseJsonAddress(_life, ".deployer");
        _contract = vm.parseJsonAddress(_life, ".contract");
        address token = vm.parseJsonAddress(_life, ".token");
        vm.deal(_deployer, 1 ether);
        vm.assertEq(deploy(type(TestUSDC).creationCode), token);
        bytes memory arguments = vm.parseJsonBytes(_life, ".arguments");
        vm.assertEq(deploy(abi.encodePacked(type(Escrow).creationCode, arguments)), _contract);
        IEscrow escrow = IEscrow(_contract);
        vm.assertEq(escrow.domainSeparator(), vm.parseJsonBytes32(_life, ".separator"));

        send(_contract, 0, ".setCap");
        send(token, 0, ".mint");
        send(token, 0, ".approve");
        send(_contract, 1_000_000, ".depositNative");
        send(_contract, 0, ".depositToken");
        send(_contract, 0, ".payouts[0]");
        vm.assertEq(read(".executed[0]"), 1);
        vm.assertEq(read(".executed[1]"), 0);
        send(_contract, 0, ".payouts[1]");

        _deployer = vm.parseJsonAddress(_life, ".guardian");
        send(_contract, 0, ".freeze");
        vm.assertTrue(escrow.frozen());
        send(_contract, 0, ".thaw");
        vm.assertEq(escrow.guardian(), vm.parseJsonAddress(_life, ".nextGuardian"));
        send(_contract, 0, ".rotate");
        vm.assertEq(escrow.verifyingKey(), vm.parseJsonBytes(_life, ".newKey"));
        send(_contract, 0, ".payouts[2]");

        vm.assertEq(read(".executed[1]"), 1);
        vm.assertEq(read(".executed[2]"), 1);
        vm.assertEq(read(".balances[0]"), _contract.balance);
        vm.assertEq(read(".balances[1]"), TestUSDC(token).balanceOf(_contract));
    }
}
