// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Fixture} from "../Fixture.sol";
import {Escrow} from "../../src/Escrow.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {FrostSecp256k1} from "../../src/libraries/FrostSecp256k1.sol";

contract AdministrationTest is Fixture {
    function test_constructor_registers_key_guardian_and_caps() public view {
        vm.assertEq(escrow.verifyingKey(), abi.encodePacked(uint8(2 + (key.py & 1)), key.px));
        vm.assertEq(escrow.epoch(), 1);
        vm.assertEq(escrow.nonce(), 0);
        vm.assertEq(escrow.guardian(), guardian);
        vm.assertFalse(escrow.frozen());
        (uint256 cap, uint256 spent) = escrow.capOf(address(usdc));
        vm.assertEq(cap, USDC_CAP);
        vm.assertEq(spent, 0);
    }

    function test_constructor_announces_what_it_sets() public {
        IEscrow.Cap[] memory caps = new IEscrow.Cap[](1);
        caps[0] = IEscrow.Cap(ETH, 5);
        vm.expectEmit();
        emit IEscrow.KeyRotated(1, key.px, key.py);
        vm.expectEmit();
        emit IEscrow.CapSet(ETH, 5);
        new Escrow(key.px, key.py, guardian, caps);
    }

    function test_constructor_refuses_bad_key(uint256 px, uint256 py) public {
        vm.assume(!FrostSecp256k1.isValidKey(px, py));
        vm.expectRevert(IEscrow.BadKey.selector);
        new Escrow(px, py, guardian, new IEscrow.Cap[](0));
        vm.expectRevert(IEscrow.BadKey.selector);
        new Escrow(0, 0, guardian, new IEscrow.Cap[](0));
    }

    function test_constructor_refuses_no_guardian() public {
        vm.expectRevert(IEscrow.ZeroGuardian.selector);
        new Escrow(key.px, key.py, address(0), new IEscrow.Cap[](0));
    }

    function test_constructor_refuses_large_cap() public {
        IEscrow.Cap[] memory caps = new IEscrow.Cap[](1);
        caps[0] = IEscrow.Cap(ETH, uint256(type(uint112).max) + 1);
        vm.expectRevert(IEscrow.CapTooLarge.selector);
        new Escrow(key.px, key.py, guardian, caps);
    }

    function test_freeze_only_by_guardian(address caller) public {
        vm.assume(caller != guardian);
        vm.prank(caller);
        vm.expectRevert(IEscrow.NotGuardian.selector);
        escrow.freeze();

        vm.expectEmit(address(escrow));
        emit IEscrow.Frozen(guardian, 1);
        freeze();
        vm.assertTrue(escrow.frozen());
        vm.prank(guardian);
        vm.expectRevert(IEscrow.IsFrozen.selector);
        escrow.freeze();
    }

    function test_thaw_by_quorum() public {
        freeze();
        IEscrow.Thaw memory t = thawing(carol);
        IEscrow.Signature memory s = sign(key, digest(escrow, t));
        vm.expectEmit(address(escrow));
        emit IEscrow.Thawed(carol);
        escrow.thaw(t, s);
        vm.assertFalse(escrow.frozen());
        vm.assertEq(escrow.guardian(), carol);
        execute(simple("i"));

        // The replaced guardian has no say any more, and the used signature lifts no later freeze.
        vm.prank(guardian);
        vm.expectRevert(IEscrow.NotGuardian.selector);
        escrow.freeze();
        vm.prank(carol);
        escrow.freeze();
        refuseThaw(t, s, abi.encodeWithSelector(IEscrow.WrongNonce.selector, 3));
    }

    function refuseThaw(IEscrow.Thaw memory t, IEscrow.Signature memory s, bytes memory reason) internal {
        vm.expectRevert(reason);
        escrow.thaw(t, s);
    }

    function test_thaw_refuses_signature_made_before_freeze() public {
        IEscrow.Thaw memory t = thawing(guardian);
        IEscrow.Signature memory s = sign(key, digest(escrow, t));
        refuseThaw(t, s, why(IEscrow.NotFrozen.selector));
        freeze();
        refuseThaw(t, s, abi.encodeWithSelector(IEscrow.WrongNonce.selector, 1));
    }

    function test_thaw_refuses_everyone_else(uint256 secret) public {
        secret = bound(secret, 1, FrostSecp256k1.N - 1);
        vm.assume(secret != key.secret);
        freeze();
        IEscrow.Thaw memory t = thawing(guardian);
        IEscrow.Signature memory s = sign(keyOf(secret), digest(escrow, t));
        vm.prank(guardian);
        refuseThaw(t, s, why(IEscrow.BadSignature.selector));
        vm.assertTrue(escrow.frozen());
    }

    function test_thaw_refuses_late_wrong_epoch_and_no_guardian() public {
        freeze();
        IEscrow.Thaw memory t = thawing(address(0));
        IEscrow.Signature memory s = sign(key, digest(escrow, t));
        refuseThaw(t, s, why(IEscrow.ZeroGuardian.selector));
        t = thawing(guardian);
        t.epoch = 2;
        refuseThaw(t, s, abi.encodeWithSelector(IEscrow.WrongEpoch.selector, 1));
        t = thawing(guardian);
        s = sign(key, digest(escrow, t));
        vm.warp(t.validUntil + 1);
        refuseThaw(t, s, why(IEscrow.Expired.selector));
    }

    function test_setCap_by_quorum(uint112 cap) public {
        address asset = addressOf("token");
        IEscrow.SetCap memory c = IEscrow.SetCap(asset, cap, 0, NOON, 1);
        IEscrow.Signature memory s = sign(key, digest(escrow, c));
        vm.expectEmit(address(escrow));
        emit IEscrow.CapSet(asset, cap);
        escrow.setCap(c, s);
        (uint256 set,) = escrow.capOf(asset);
        vm.assertEq(set, cap);
        vm.assertEq(escrow.nonce(), 1);

        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongNonce.selector, 1));
        escrow.setCap(c, s);
    }

    function test_setCap_refuses_changed_field(uint8 field, uint256 cap) public {
        IEscrow.SetCap memory c = IEscrow.SetCap(ETH, 7 ether, 0, NOON, 1);
        IEscrow.Signature memory s = sign(key, digest(escrow, c));
        if (field % 3 == 0) c.asset = address(usdc);
        else if (field % 3 == 1) c.cap = cap == 7 ether ? 8 ether : cap;
        else c.validUntil += 1;
        vm.expectRevert(IEscrow.BadSignature.selector);
        escrow.setCap(c, s);
    }

    function test_setCap_refuses_late_wrong_epoch_and_too_large(uint256 cap) public {
        IEscrow.SetCap memory c = IEscrow.SetCap(ETH, bound(cap, 1 << 112, type(uint256).max), 0, NOON, 1);
        IEscrow.Signature memory s = sign(key, digest(escrow, c));
        vm.expectRevert(IEscrow.CapTooLarge.selector);
        escrow.setCap(c, s);
        vm.warp(NOON + 1);
        vm.expectRevert(IEscrow.Expired.selector);
        escrow.setCap(c, s);
        c.epoch = 0;
        vm.expectRevert(abi.encodeWithSelector(IEscrow.WrongEpoch.selector, 1));
        escrow.setCap(c, s);
    }

    function test_rotate_moves_authority(uint256 secret) public {
        Key memory next = keyOf(bound(secret, 1, FrostSecp256k1.N - 1));
        vm.assume(next.secret != key.secret);
        IEscrow.Payout memory old = simple("old");
        IEscrow.Signature memory oldSignature = signed(old);
        freeze();
        rotate(next);
        vm.assertEq(escrow.epoch(), 2);
        vm.assertEq(escrow.verifyingKey(), abi.encodePacked(uint8(2 + (next.py & 1)), next.px));

        // In flight under the old key, and freshly signed by it for the new epoch.
        IEscrow.Thaw memory t = thawing(guardian);
        refuseThaw(t, sign(key, digest(escrow, t)), why(IEscrow.BadSignature.selector));
        escrow.thaw(t, sign(next, digest(escrow, t)));
        refuseSigned(old, oldSignature, abi.encodeWithSelector(IEscrow.WrongEpoch.selector, 2));
        refuse(simple("i"), why(IEscrow.BadSignature.selector));

        key = next;
        execute(simple("i"));
    }

    function rotate(Key memory next) internal {
        IEscrow.Rotate memory r = rotation(next);
        bytes32 d = digest(escrow, r);
        (IEscrow.Signature memory s, IEscrow.Signature memory proof) = (sign(key, d), sign(next, d));
        vm.expectEmit(address(escrow));
        emit IEscrow.KeyRotated(r.epoch + 1, next.px, next.py);
        escrow.rotate(r, s, proof);
    }

    function refuseRotation(IEscrow.Rotate memory r, Key memory by, Key memory next, bytes memory reason) internal {
        bytes32 d = digest(escrow, r);
        (IEscrow.Signature memory s, IEscrow.Signature memory proof) = (sign(by, d), sign(next, d));
        vm.expectRevert(reason);
        escrow.rotate(r, s, proof);
    }

    function test_rotate_needs_both_keys() public {
        Key memory next = keyOf(77);
        refuseRotation(rotation(next), next, next, why(IEscrow.BadSignature.selector));
        refuseRotation(rotation(next), key, key, why(IEscrow.BadProofOfKey.selector));
        vm.assertEq(escrow.epoch(), 1);
    }

    function test_rotate_refuses_bad_key(uint256 px, uint256 py) public {
        vm.assume(!FrostSecp256k1.isValidKey(px, py));
        refuseRotation(rotation(Key(1, px, py)), key, key, why(IEscrow.BadKey.selector));
        refuseRotation(rotation(Key(1, 0, 0)), key, key, why(IEscrow.BadKey.selector));
    }

    function test_rotate_refuses_replay_and_late() public {
        Key memory next = keyOf(77);
        IEscrow.Rotate memory r = rotation(next);
        rotate(next);
        refuseRotation(r, key, next, abi.encodeWithSelector(IEscrow.WrongEpoch.selector, 2));
        r.epoch = 2;
        refuseRotation(r, next, next, abi.encodeWithSelector(IEscrow.WrongNonce.selector, 1));
        r.nonce = 1;
        vm.warp(r.validUntil + 1);
        refuseRotation(r, next, next, why(IEscrow.Expired.selector));
    }
}
