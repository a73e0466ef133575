// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Quorum} from "./Quorum.sol";
import {TestUSDC} from "./TestUSDC.sol";
import {Escrow} from "../src/Escrow.sol";
import {IEscrow} from "../src/interfaces/IEscrow.sol";

/// An escrow with a key, a guardian, caps for the native coin and one token, and one order funded in both.
abstract contract Fixture is Quorum {
    address internal constant ETH = address(0);
    uint256 internal constant ETH_CAP = 100 ether;
    uint256 internal constant USDC_CAP = 1_000_000e6;
    uint64 internal constant NOON = 20_000 days + 12 hours;
    bytes32 internal constant ORDER = keccak256("order");

    Escrow internal escrow;
    TestUSDC internal usdc;
    Key internal key;
    address internal guardian = addressOf("guardian");
    address internal buyer = addressOf("buyer");
    address internal alice = addressOf("alice");
    address internal bob = addressOf("bob");
    address internal carol = addressOf("carol");

    function setUp() public virtual {
        vm.warp(NOON);
        key = keyOf(0xA11CE);
        usdc = new TestUSDC();
        IEscrow.Cap[] memory caps = new IEscrow.Cap[](2);
        caps[0] = IEscrow.Cap(ETH, ETH_CAP);
        caps[1] = IEscrow.Cap(address(usdc), USDC_CAP);
        escrow = new Escrow(key.px, key.py, guardian, caps);
        fund(ORDER, ETH, 300 ether);
        fund(ORDER, address(usdc), 3_000_000e6);
    }

    function fund(bytes32 order, address asset, uint256 amount) internal {
        if (asset == ETH) {
            vm.deal(buyer, amount);
            vm.prank(buyer);
            escrow.deposit{value: amount}(order, asset, amount);
        } else {
            TestUSDC(asset).mint(buyer, amount);
            vm.prank(buyer);
            TestUSDC(asset).approve(address(escrow), amount);
            vm.prank(buyer);
            escrow.deposit(order, asset, amount);
        }
    }

    function to(address a) internal pure returns (address[] memory r) {
        r = new address[](1);
        r[0] = a;
    }

    function units(uint256 a) internal pure returns (uint256[] memory r) {
        r = new uint256[](1);
        r[0] = a;
    }

    function payment(bytes32 intent, address asset, address[] memory recipients, uint256[] memory amounts)
        internal
        view
        returns (IEscrow.Payout memory)
    {
        return IEscrow.Payout({
            intent: intent,
            installation: keccak256("installation"),
            order: ORDER,
            asset: asset,
            recipients: recipients,
            amounts: amounts,
            validUntil: uint64(block.timestamp + 1 hours),
            epoch: escrow.epoch()
        });
    }

    function simple(bytes32 intent) internal view returns (IEscrow.Payout memory) {
        return payment(intent, ETH, to(alice), units(1 ether));
    }

    function signed(IEscrow.Payout memory p) internal returns (IEscrow.Signature memory) {
        return sign(key, escrow.payoutDigest(p));
    }

    function execute(IEscrow.Payout memory p) internal {
        IEscrow.Signature memory s = signed(p);
        escrow.payout(p, s);
    }

    function refuse(IEscrow.Payout memory p, bytes memory reason) internal {
        IEscrow.Signature memory s = signed(p);
        refuseSigned(p, s, reason);
    }

    function refuseSigned(IEscrow.Payout memory p, IEscrow.Signature memory s, bytes memory reason) internal {
        vm.expectRevert(reason);
        escrow.payout(p, s);
    }

    function why(bytes4 selector) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(selector);
    }

    function setCap(address asset, uint256 cap) internal {
        IEscrow.SetCap memory c =
            IEscrow.SetCap(asset, cap, escrow.nonce(), uint64(block.timestamp + 1 hours), escrow.epoch());
        IEscrow.Signature memory s = sign(key, digest(escrow, c));
        escrow.setCap(c, s);
    }

    function freeze() internal {
        vm.prank(guardian);
        escrow.freeze();
    }

    function thawing(address newGuardian) internal view returns (IEscrow.Thaw memory) {
        return IEscrow.Thaw(newGuardian, escrow.nonce(), uint64(block.timestamp + 1 hours), escrow.epoch());
    }

    function rotation(Key memory next) internal view returns (IEscrow.Rotate memory) {
        return IEscrow.Rotate(next.px, next.py, escrow.nonce(), uint64(block.timestamp + 1 hours), escrow.epoch());
    }
}
