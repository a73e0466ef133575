// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Base} from "../Base.sol";
import {Handler} from "./Handler.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";

contract EscrowInvariants is Base {
    Handler private _handler;
    IEscrow private _escrow;

    function setUp() public {
        _handler = new Handler();
        _handler.setUp();
        _escrow = _handler.theEscrow();
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetContracts() public view returns (address[] memory t) {
        t = new address[](1);
        t[0] = address(_handler);
    }

    /// Actions only: the fixture's own `setUp` would begin anew.
    function targetSelectors() public view returns (FuzzSelector[] memory t) {
        bytes4[] memory s = new bytes4[](14);
        s[0] = Handler.deposit.selector;
        s[1] = Handler.deposit.selector;
        s[2] = Handler.pay.selector;
        s[3] = Handler.pay.selector;
        s[4] = Handler.pay.selector;
        s[5] = Handler.replay.selector;
        s[6] = Handler.resign.selector;
        s[7] = Handler.forge.selector;
        s[8] = Handler.freezeNow.selector;
        s[9] = Handler.depositWhileFrozen.selector;
        s[10] = Handler.thaw.selector;
        s[11] = Handler.changeCap.selector;
        s[12] = Handler.rotate.selector;
        s[13] = Handler.pass.selector;
        t = new FuzzSelector[](1);
        t[0] = FuzzSelector(address(_handler), s);
    }

    function conserved(bool native) internal view {
        address asset = _handler.assetOf(native);
        uint256 held = _escrow.balanceOf(keccak256("order"), asset);
        for (uint256 i; i < 3; ++i) {
            held += _escrow.balanceOf(_handler.orders(i), asset);
        }
        uint256 received;
        for (uint256 i; i < 20; ++i) {
            received += _handler.balanceOf(_handler.recipients(i), native);
        }
        vm.assertEq(_handler.balanceOf(address(_escrow), native), held);
        vm.assertEq(held, _handler.deposited(asset) - _handler.paid(asset));
        vm.assertEq(received, _handler.paid(asset));
    }

    function intentsExecuteOnce() internal view {
        vm.assertEq(_handler.replaysTaken(), 0, "a replay was taken");
        uint256 executed;
        for (uint256 i; i < _handler.INTENTS(); ++i) {
            uint256 count = _handler.executions(bytes32(i));
            vm.assertLe(count, 1, "an intent executed twice");
            vm.assertTrue(_escrow.executed(bytes32(i)) == (count == 1), "an intent is marked wrongly");
            executed += count;
        }
        vm.assertEq(executed, _handler.executed());
    }

    /// One invariant for all, because the action sequences are what costs time.
    function invariant_escrow_keeps_its_promises() public view {
        conserved(true);
        conserved(false);
        vm.assertEq(_handler.frozenMoves(), 0, "money moved while frozen");
        vm.assertEq(_handler.capBreaches(), 0, "a daily cap was exceeded");
        vm.assertEq(_handler.forgeriesTaken(), 0, "another key moved money");
    }

    /// After each whole sequence.
    function afterInvariant() public view {
        intentsExecuteOnce();
    }

    /// The actions do what they are named for, so that the invariants are about something.
    function test_actions_have_effects() public {
        _handler.deposit(0, true, 150 ether);
        _handler.pay(1, 0, true, 7, 3);
        _handler.pay(2, 3, false, 7, 2);
        vm.assertEq(_handler.executed(), 2);
        _handler.replay(0);
        _handler.resign(1);
        _handler.forge(5, 3, 0, true, 7);
        _handler.freezeNow(0);
        _handler.pay(3, 0, true, 7, 1);
        _handler.depositWhileFrozen(1);
        vm.assertEq(_handler.executed(), 2);
        _handler.thaw();
        _handler.rotate();
        _handler.pass(13 hours);
        _handler.pay(3, 0, true, 7, 1);
        _handler.changeCap(true, 0);
        _handler.pay(4, 0, true, 7, 1);
        vm.assertEq(_handler.executed(), 3);
        vm.assertEq(_handler.thaws(), 1);
        vm.assertEq(_handler.rotations(), 1);
        intentsExecuteOnce();
        invariant_escrow_keeps_its_promises();
    }
}
