// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Fixture} from "../Fixture.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {FrostSecp256k1} from "../../src/libraries/FrostSecp256k1.sol";

/// Gas of whole transactions, base cost and call data included, held against limits and against `snapshots/`.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    /// A verification, without the digest.
    uint256 internal constant VERIFY_LIMIT = 5_300;
    /// A transaction that pays the native coin to one account that exists.
    uint256 internal constant PAYOUT_LIMIT = 90_000;

    function setUp() public override {
        super.setUp();
        // Accounts that exist and hold the token, as those of paid-before recipients do.
        address[4] memory known = [alice, bob, carol, buyer];
        for (uint256 i; i < known.length; ++i) {
            vm.deal(known[i], 1);
            usdc.mint(known[i], 1);
        }
    }

    function three() internal view returns (address[] memory r, uint256[] memory a) {
        r = new address[](3);
        a = new uint256[](3);
        (r[0], r[1], r[2]) = (alice, bob, carol);
        (a[0], a[1], a[2]) = (10e6, 20e6, 30e6);
    }

    function measure(string memory name, IEscrow.Payout memory p) internal returns (uint256) {
        IEscrow.Signature memory s = signed(p);
        escrow.payout(p, s);
        return vm.snapshotGasLastCall("Escrow", name);
    }

    function test_gas_verify() public {
        bytes32 message = keccak256("message");
        // In memory, so that no storage is read between the two readings of the gas counter.
        Key memory k = key;
        IEscrow.Signature memory s = sign(k, message);
        uint8 parity = uint8(k.py & 1);
        uint256 used = gasleft();
        bool ok = FrostSecp256k1.verify(k.px, parity, s.rx, s.ry, s.z, message);
        used -= gasleft();
        vm.assertTrue(ok);
        vm.snapshotValue("Escrow", "verify", used);
        vm.assertLe(used, VERIFY_LIMIT, "verify");
    }

    function test_gas_payout_native() public {
        uint256 used = measure("payout native to 1", payment(keccak256("i"), ETH, to(alice), units(1 ether)));
        vm.assertLe(used, PAYOUT_LIMIT, "payout native to 1");
    }

    function test_gas_payout_native_later_that_day() public {
        execute(payment(keccak256("h"), ETH, to(alice), units(1 ether)));
        measure("payout native to 1, later that day", payment(keccak256("i"), ETH, to(alice), units(1 ether)));
    }

    function test_gas_payout_native_new_account() public {
        measure("payout native to 1 new account", payment(keccak256("i"), ETH, to(address(0xbeef)), units(1 ether)));
    }

    function test_gas_payout_native_split() public {
        (address[] memory r, uint256[] memory a) = three();
        measure("payout native to 3", payment(keccak256("i"), ETH, r, a));
    }

    function test_gas_payout_token() public {
        measure("payout token to 1", payment(keccak256("i"), address(usdc), to(alice), units(10e6)));
    }

    function test_gas_payout_token_split() public {
        (address[] memory r, uint256[] memory a) = three();
        measure("payout token to 3", payment(keccak256("i"), address(usdc), r, a));
    }

    function test_gas_payout_token_sixteen() public {
        address[] memory r = new address[](16);
        uint256[] memory a = new uint256[](16);
        for (uint256 i; i < 16; ++i) {
            r[i] = vm.addr(100 + i);
            a[i] = 10e6;
            usdc.mint(r[i], 1);
        }
        measure("payout token to 16", payment(keccak256("i"), address(usdc), r, a));
    }

    function test_gas_deposit() public {
        vm.deal(buyer, 2 ether);
        vm.prank(buyer);
        escrow.deposit{value: 1 ether}(keccak256("new order"), ETH, 1 ether);
        vm.snapshotGasLastCall("Escrow", "deposit native");
        usdc.mint(buyer, 10e6);
        vm.prank(buyer);
        usdc.approve(address(escrow), 10e6);
        vm.prank(buyer);
        escrow.deposit(keccak256("new order"), address(usdc), 10e6);
        vm.snapshotGasLastCall("Escrow", "deposit token");
    }

    function test_gas_administration() public {
        setCap(ETH, 5 ether);
        vm.snapshotGasLastCall("Escrow", "setCap");
        freeze();
        vm.snapshotGasLastCall("Escrow", "freeze");
        IEscrow.Thaw memory t = thawing(guardian);
        IEscrow.Signature memory s = sign(key, digest(escrow, t));
        escrow.thaw(t, s);
        vm.snapshotGasLastCall("Escrow", "thaw");
        Key memory next = keyOf(77);
        IEscrow.Rotate memory r = rotation(next);
        bytes32 d = digest(escrow, r);
        s = sign(key, d);
        IEscrow.Signature memory proof = sign(next, d);
        escrow.rotate(r, s, proof);
        vm.snapshotGasLastCall("Escrow", "rotate");
    }
}
