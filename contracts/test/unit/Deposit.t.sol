// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Fixture} from "../Fixture.sol";
import {FalseToken, FeeToken, IdleToken, NestingToken, SilentToken} from "./Hostile.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

contract DepositTest is Fixture {
    bytes32 internal constant OTHER = keccak256("other order");

    function test_deposit_credits_order_eth(uint256 amount) public {
        amount = bound(amount, 1, 1e30);
        vm.deal(buyer, amount);
        vm.expectEmit(address(escrow));
        emit IEscrow.Deposited(OTHER, ETH, buyer, amount);
        vm.prank(buyer);
        escrow.deposit{value: amount}(OTHER, ETH, amount);
        vm.assertEq(escrow.balanceOf(OTHER, ETH), amount);
        vm.assertEq(escrow.balanceOf(ORDER, ETH), 300 ether);
        vm.assertEq(address(escrow).balance, 300 ether + amount);
    }

    function test_deposit_credits_order_token(uint256 amount) public {
        amount = bound(amount, 1, 1e30);
        fund(OTHER, address(usdc), amount);
        vm.assertEq(escrow.balanceOf(OTHER, address(usdc)), amount);
        vm.assertEq(usdc.balanceOf(address(escrow)), 3_000_000e6 + amount);
        vm.assertEq(usdc.balanceOf(buyer), 0);
    }

    function test_deposit_refuses_zero() public {
        vm.expectRevert(IEscrow.ZeroAmount.selector);
        escrow.deposit(OTHER, ETH, 0);
        vm.expectRevert(IEscrow.ZeroAmount.selector);
        escrow.deposit(OTHER, address(usdc), 0);
    }

    function test_deposit_refuses_wrong_value(uint256 amount, uint256 value) public {
        amount = bound(amount, 1, 1e30);
        value = bound(value, 0, 1e30);
        vm.assume(amount != value);
        vm.deal(address(this), value);
        vm.expectRevert(IEscrow.WrongValue.selector);
        escrow.deposit{value: value}(OTHER, ETH, amount);
    }

    function test_deposit_refuses_value_with_token() public {
        vm.deal(address(this), 1);
        vm.expectRevert(IEscrow.WrongValue.selector);
        escrow.deposit{value: 1}(OTHER, address(usdc), 1);
    }

    function test_deposit_refuses_plain_transfer() public {
        vm.deal(address(this), 1 ether);
        (bool ok,) = address(escrow).call{value: 1 ether}("");
        vm.assertFalse(ok);
    }

    function test_deposit_refuses_uncapped_asset() public {
        address token = address(new FeeToken());
        vm.expectRevert(abi.encodeWithSelector(IEscrow.AssetNotCapped.selector, token));
        escrow.deposit(OTHER, token, 1);
    }

    function test_deposit_refuses_while_frozen() public {
        freeze();
        vm.expectRevert(IEscrow.IsFrozen.selector);
        escrow.deposit(OTHER, address(usdc), 1);
    }

    function test_deposit_refuses_without_allowance() public {
        usdc.mint(address(this), 5);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(escrow), 0, 5));
        escrow.deposit(OTHER, address(usdc), 5);
    }

    function test_deposit_refuses_fee_token() public {
        FeeToken token = new FeeToken();
        setCap(address(token), 1e18);
        token.mint(address(this), 1000);
        token.approve(address(escrow), 1000);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InexactTransfer.selector, 990));
        escrow.deposit(OTHER, address(token), 1000);
        vm.assertEq(escrow.balanceOf(OTHER, address(token)), 0);
    }

    function test_deposit_refuses_token_that_does_nothing() public {
        address token = address(new IdleToken());
        setCap(token, 1e18);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InexactTransfer.selector, 0));
        escrow.deposit(OTHER, token, 1000);
    }

    function test_deposit_refuses_false() public {
        FalseToken token = new FalseToken();
        setCap(address(token), 1e18);
        token.setLies(true);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        escrow.deposit(OTHER, address(token), 1000);
    }

    function test_deposit_refuses_account_without_code() public {
        setCap(alice, 1e18);
        vm.expectRevert(bytes(""));
        escrow.deposit(OTHER, alice, 1000);
    }

    function test_deposit_counts_nested_transfer_once() public {
        NestingToken token = new NestingToken();
        setCap(address(token), 1e18);
        token.mint(address(this), 1000);
        token.approve(address(escrow), 1000);
        token.aim(escrow);
        escrow.deposit(OTHER, address(token), 1000);
        vm.assertTrue(token.blocked());
        vm.assertEq(escrow.balanceOf(OTHER, address(token)), 1000);
        vm.assertEq(escrow.balanceOf(ORDER, address(token)), 0);
    }

    function test_deposit_takes_token_without_return_value() public {
        SilentToken token = new SilentToken();
        setCap(address(token), 1e18);
        token.mint(address(this), 1000);
        escrow.deposit(ORDER, address(token), 1000);
        execute(payment("i", address(token), to(alice), units(400)));
        vm.assertEq(token.balanceOf(alice), 400);
        vm.assertEq(escrow.balanceOf(ORDER, address(token)), 600);
    }
}
