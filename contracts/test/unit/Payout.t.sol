// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Fixture} from "../Fixture.sol";
import {Bomb, FalseToken, Reentrant, Refusing} from "./Hostile.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {FrostSecp256k1} from "../../src/libraries/FrostSecp256k1.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

contract PayoutTest is Fixture {
    function test_payout_pays_every_recipient(uint256 seed, uint8 count, bool native) public {
        (address[] memory recipients, uint256[] memory amounts) = split(seed, bound(count, 1, 16));
        address asset = native ? ETH : address(usdc);
        uint256 total;
        for (uint256 i; i < amounts.length; ++i) {
            total += amounts[i];
        }
        uint256 before = escrow.balanceOf(ORDER, asset);
        IEscrow.Payout memory p = payment("i", asset, recipients, amounts);
        IEscrow.Signature memory s = signed(p);

        vm.expectEmit(address(escrow));
        emit IEscrow.PayoutExecuted("i", p.installation, ORDER, asset, total);
        escrow.payout(p, s);

        for (uint256 i; i < amounts.length; ++i) {
            vm.assertEq(native ? recipients[i].balance : usdc.balanceOf(recipients[i]), amounts[i]);
        }
        vm.assertEq(escrow.balanceOf(ORDER, asset), before - total);
        vm.assertEq(native ? address(escrow).balance : usdc.balanceOf(address(escrow)), before - total);
        vm.assertTrue(escrow.executed("i"));
    }

    function split(uint256 seed, uint256 count) internal pure returns (address[] memory r, uint256[] memory a) {
        r = new address[](count);
        a = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            r[i] = vm.addr(1_000_000 + i + (seed % 1000) * 16);
            a[i] = 1 + uint256(keccak256(abi.encode(seed, i))) % 1e9;
        }
    }

    function test_payout_refuses_second_execution() public {
        IEscrow.Payout memory p = simple("i");
        execute(p);
        refuse(p, abi.encodeWithSelector(IEscrow.AlreadyExecuted.selector, p.intent));
    }

    /// Several valid signatures of one intent exist; the intent counts, not the signature or the rest of the struct.
    function test_payout_refuses_same_intent_with_other_content(uint256 amount) public {
        execute(simple("i"));
        IEscrow.Payout memory p = payment("i", address(usdc), to(bob), units(bound(amount, 1, 1e6)));
        refuse(p, abi.encodeWithSelector(IEscrow.AlreadyExecuted.selector, p.intent));
    }

    function test_payout_refuses_other_key(uint256 secret) public {
        secret = bound(secret, 1, FrostSecp256k1.N - 1);
        vm.assume(secret != key.secret);
        IEscrow.Payout memory p = simple("i");
        IEscrow.Signature memory s = sign(keyOf(secret), escrow.payoutDigest(p));
        refuseSigned(p, s, why(IEscrow.BadSignature.selector));
    }

    /// Every field is signed: a signature for one struct is void for a struct that differs anywhere.
    function test_payout_refuses_changed_field(uint8 field, uint256 delta) public {
        IEscrow.Payout memory p = payment("i", ETH, to(alice), units(1 ether));
        IEscrow.Signature memory s = signed(p);
        fund(keccak256("other"), ETH, 100 ether);
        uint256 which = field % 7;
        if (which == 0) p.intent = keccak256(abi.encode(delta));
        else if (which == 1) p.installation = keccak256(abi.encode(delta));
        else if (which == 2) p.order = keccak256("other");
        else if (which == 3) p.asset = address(usdc);
        else if (which == 4) p.recipients = to(bob);
        else if (which == 5) p.amounts = units(1 ether + bound(delta, 1, 1 ether));
        else p.validUntil += uint64(bound(delta, 1, 1 days));
        refuseSigned(p, s, why(IEscrow.BadSignature.selector));
    }

    function test_payout_refuses_malformed_signature() public {
        IEscrow.Payout memory p = simple("i");
        IEscrow.Signature memory s = signed(p);
        bytes memory reason = why(IEscrow.BadSignature.selector);
        refuseSigned(p, IEscrow.Signature(0, 0, 0), reason);
        refuseSigned(p, IEscrow.Signature(s.rx, s.ry, 0), reason);
        refuseSigned(p, IEscrow.Signature(s.rx, s.ry, FrostSecp256k1.N), reason);
        refuseSigned(p, IEscrow.Signature(s.rx, s.ry + 1, s.z), reason);
        refuseSigned(p, IEscrow.Signature(s.rx, FrostSecp256k1.P - s.ry, s.z), reason);
    }

    function test_payout_refuses_wrong_epoch(uint64 epoch) public {
        vm.assume(epoch != 1);
        IEscrow.Payout memory p = simple("i");
        p.epoch = epoch;
        refuse(p, abi.encodeWithSelector(IEscrow.WrongEpoch.selector, 1));
    }

    function test_payout_executes_until_last_second() public {
        IEscrow.Payout memory p = simple("i");
        IEscrow.Signature memory s = signed(p);
        vm.warp(p.validUntil + 1);
        refuseSigned(p, s, why(IEscrow.Expired.selector));
        vm.warp(p.validUntil);
        escrow.payout(p, s);
    }

    function test_payout_refuses_other_chain(uint64 chain) public {
        chain = uint64(bound(chain, 1, type(uint64).max - 1));
        vm.assume(chain != block.chainid);
        IEscrow.Payout memory p = simple("i");
        IEscrow.Signature memory s = signed(p);
        uint256 home = block.chainid;
        vm.chainId(chain);
        refuseSigned(p, s, why(IEscrow.BadSignature.selector));
        vm.chainId(home);
        escrow.payout(p, s);
    }

    /// The same code at another address is another contract.
    function test_payout_refuses_other_contract() public {
        IEscrow.Payout memory p = simple("i");
        IEscrow.Signature memory s = signed(p);
        super.setUp();
        refuseSigned(p, s, why(IEscrow.BadSignature.selector));
    }

    function test_payout_refuses_while_frozen() public {
        freeze();
        refuse(simple("i"), why(IEscrow.IsFrozen.selector));
    }

    function test_payout_refuses_bad_recipient_count() public {
        bytes memory reason = why(IEscrow.BadRecipientCount.selector);
        refuse(payment("i", ETH, new address[](0), new uint256[](0)), reason);
        refuse(payment("i", ETH, to(alice), new uint256[](0)), reason);
        refuse(payment("i", ETH, new address[](0), units(1)), reason);
        (address[] memory recipients, uint256[] memory amounts) = split(1, 17);
        refuse(payment("i", ETH, recipients, amounts), reason);
    }

    function test_payout_refuses_bad_recipient(uint8 first, uint8 second) public {
        refuse(payment("i", ETH, to(address(0)), units(1)), badRecipient(address(0)));
        refuse(payment("i", ETH, to(address(escrow)), units(1)), badRecipient(address(escrow)));
        (address[] memory recipients, uint256[] memory amounts) = split(2, 16);
        vm.assume(first % 16 != second % 16);
        recipients[first % 16] = recipients[second % 16];
        refuse(payment("i", ETH, recipients, amounts), badRecipient(recipients[first % 16]));
    }

    function badRecipient(address recipient) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IEscrow.BadRecipient.selector, recipient);
    }

    function test_payout_refuses_zero_amount(uint8 which) public {
        (address[] memory recipients, uint256[] memory amounts) = split(3, 16);
        amounts[which % 16] = 0;
        refuse(payment("i", ETH, recipients, amounts), why(IEscrow.ZeroAmount.selector));
    }

    function test_payout_refuses_overflowing_sum() public {
        (address[] memory recipients, uint256[] memory amounts) = split(4, 2);
        (amounts[0], amounts[1]) = (type(uint256).max, 2);
        refuse(payment("i", ETH, recipients, amounts), abi.encodeWithSignature("Panic(uint256)", 0x11));
    }

    function test_payout_refuses_more_than_order_holds(uint256 extra) public {
        setCap(ETH, type(uint112).max);
        // Another order's money is there, and is not this order's.
        fund(keccak256("other"), ETH, 1000 ether);
        refuse(
            payment("i", ETH, to(alice), units(300 ether + bound(extra, 1, 600 ether))),
            abi.encodeWithSelector(IEscrow.InsufficientDeposit.selector, 300 ether)
        );
    }

    function test_payout_refuses_unknown_order() public {
        IEscrow.Payout memory p = simple("i");
        p.order = keccak256("nobody paid");
        refuse(p, abi.encodeWithSelector(IEscrow.InsufficientDeposit.selector, 0));
    }

    function test_payout_refuses_reverting_recipient() public {
        address[] memory recipients = new address[](2);
        uint256[] memory amounts = new uint256[](2);
        (recipients[0], recipients[1]) = (alice, address(new Refusing()));
        (amounts[0], amounts[1]) = (1 ether, 1 ether);
        IEscrow.Payout memory p = payment("i", ETH, recipients, amounts);
        refuse(p, abi.encodeWithSelector(IEscrow.TransferFailed.selector, recipients[1]));
        vm.assertFalse(escrow.executed("i"));
        vm.assertEq(alice.balance, 0);
        vm.assertEq(escrow.balanceOf(ORDER, ETH), 300 ether);
    }

    function test_payout_copies_no_return_data() public {
        IEscrow.Payout memory p = payment("i", ETH, to(address(new Bomb())), units(1));
        IEscrow.Signature memory s = signed(p);
        uint256 before = gasleft();
        escrow.payout(p, s);
        // The recipient's own 300,000 bytes of memory cost it about 204,000; a copy of them would cost as much again.
        vm.assertLe(before - gasleft(), 350_000, "return data was copied");
    }

    function test_payout_refuses_token_that_says_false() public {
        FalseToken token = new FalseToken();
        setCap(address(token), 1e18);
        token.mint(address(this), 1000);
        token.approve(address(escrow), 1000);
        escrow.deposit(ORDER, address(token), 1000);
        token.setLies(true);
        refuse(
            payment("i", address(token), to(alice), units(1000)),
            abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token))
        );
        vm.assertEq(escrow.balanceOf(ORDER, address(token)), 1000);
    }

    function test_payout_survives_reentrancy(bool same, bool intoDeposit) public {
        Reentrant recipient = new Reentrant(address(escrow));
        IEscrow.Payout memory p = payment("i", ETH, to(address(recipient)), units(1 ether));
        IEscrow.Signature memory s = signed(p);
        IEscrow.Payout memory next = same ? p : simple("j");
        IEscrow.Signature memory nextSignature = signed(next);
        recipient.prepare(
            intoDeposit
                ? abi.encodeCall(escrow.deposit, (ORDER, ETH, 1))
                : abi.encodeCall(escrow.payout, (next, nextSignature)),
            intoDeposit ? 1 : 0
        );
        escrow.payout(p, s);
        vm.assertTrue(recipient.tried());
        vm.assertEq(address(recipient).balance, 1 ether);
        vm.assertFalse(escrow.executed("j"));
        vm.assertEq(address(escrow).balance, 299 ether);
    }

    function test_cap_limits_one_day(uint256 first, uint256 second) public {
        first = bound(first, 1, ETH_CAP);
        second = bound(second, 1, ETH_CAP);
        execute(payment("i", ETH, to(alice), units(first)));
        IEscrow.Payout memory p = payment("j", ETH, to(alice), units(second));
        if (first + second > ETH_CAP) {
            refuse(p, abi.encodeWithSelector(IEscrow.CapExceeded.selector, ETH_CAP - first));
        } else {
            execute(p);
        }
        (uint256 cap, uint256 spent) = escrow.capOf(ETH);
        vm.assertEq(cap, ETH_CAP);
        vm.assertEq(spent, first + second > ETH_CAP ? first : first + second);
    }

    function test_cap_begins_anew_at_midnight_utc() public {
        vm.warp(20_000 days + 1 days - 1);
        execute(payment("i", ETH, to(alice), units(ETH_CAP)));
        refuse(payment("j", ETH, to(alice), units(1)), abi.encodeWithSelector(IEscrow.CapExceeded.selector, 0));
        vm.warp(20_001 days);
        (, uint256 spent) = escrow.capOf(ETH);
        vm.assertEq(spent, 0);
        execute(payment("j", ETH, to(alice), units(ETH_CAP)));
    }

    function test_cap_is_per_asset() public {
        execute(payment("i", ETH, to(alice), units(ETH_CAP)));
        execute(payment("j", address(usdc), to(alice), units(USDC_CAP)));
    }

    function test_cap_lowered_below_spending_leaves_nothing() public {
        execute(payment("i", ETH, to(alice), units(50 ether)));
        setCap(ETH, 10 ether);
        refuse(payment("j", ETH, to(alice), units(1)), abi.encodeWithSelector(IEscrow.CapExceeded.selector, 0));
        setCap(ETH, 60 ether);
        refuse(
            payment("j", ETH, to(alice), units(11 ether)),
            abi.encodeWithSelector(IEscrow.CapExceeded.selector, 10 ether)
        );
        execute(payment("j", ETH, to(alice), units(10 ether)));
    }

    function test_cap_zero_stops_asset() public {
        setCap(ETH, 0);
        refuse(simple("i"), abi.encodeWithSelector(IEscrow.AssetNotCapped.selector, ETH));
    }
}
