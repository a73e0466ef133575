// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {Fixture} from "../Fixture.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";

/// Everything that anybody can do to an escrow, in any order, with a book of what ought to have happened.
contract Handler is Fixture {
    /// Few intents, so that they repeat.
    uint256 public constant INTENTS = 64;

    struct Sent {
        IEscrow.Payout payout;
        IEscrow.Signature signature;
    }

    Sent[] private _sent;
    bytes32[3] public orders = [keccak256("a"), keccak256("b"), keccak256("c")];
    address[] public recipients;

    mapping(address asset => uint256) public deposited;
    mapping(address asset => uint256) public paid;
    mapping(bytes32 intent => uint256) public executions;
    mapping(address asset => mapping(uint256 day => uint256)) public spent;
    uint256 public executed;
    uint256 public replaysTaken;
    uint256 public forgeriesTaken;
    uint256 public frozenMoves;
    uint256 public capBreaches;
    uint256 public thaws;
    uint256 public rotations;
    uint256 private _secret = 0xA11CE;

    function setUp() public override {
        super.setUp();
        deposited[ETH] = 300 ether;
        deposited[address(usdc)] = 3_000_000e6;
        for (uint256 i; i < 20; ++i) {
            recipients.push(vm.addr(5_000 + i));
        }
    }

    function theEscrow() external view returns (IEscrow) {
        return escrow;
    }

    function assetOf(bool native) public view returns (address) {
        return native ? ETH : address(usdc);
    }

    function balanceOf(address account, bool native) public view returns (uint256) {
        return native ? account.balance : usdc.balanceOf(account);
    }

    function deposit(uint256 order, bool native, uint256 amount) external {
        address asset = assetOf(native);
        (uint256 cap,) = escrow.capOf(asset);
        if (escrow.frozen() || cap == 0) return;
        amount = bound(amount, 1, native ? 200 ether : 2_000_000e6);
        fund(orders[order % 3], asset, amount);
        deposited[asset] += amount;
    }

    /// Signs as the quorum, sensibly or not; what the contract takes must fit the book.
    function pay(uint256 seed, uint256 order, bool native, uint256 amount, uint256 count) external {
        IEscrow.Payout memory p = random(seed, order, native, amount, count);
        IEscrow.Signature memory s = signed(p);
        if (submit(p, s)) _sent.push(Sent(p, s));
    }

    function random(uint256 seed, uint256 order, bool native, uint256 amount, uint256 count)
        internal
        view
        returns (IEscrow.Payout memory)
    {
        count = bound(count, 1, 4);
        address[] memory r = new address[](count);
        uint256[] memory a = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            r[i] = recipients[(seed % 17 + i * 5) % 20];
            a[i] = bound(uint256(keccak256(abi.encode(amount, i))), 1, native ? 30 ether : 300_000e6);
        }
        IEscrow.Payout memory p = payment(bytes32(seed % INTENTS), assetOf(native), r, a);
        if (order % 4 != 3) p.order = orders[order % 4];
        return p;
    }

    function submit(IEscrow.Payout memory p, IEscrow.Signature memory s) internal returns (bool) {
        bool wasFrozen = escrow.frozen();
        (uint256 cap,) = escrow.capOf(p.asset);
        try escrow.payout(p, s) {
            uint256 total;
            for (uint256 i; i < p.amounts.length; ++i) {
                total += p.amounts[i];
            }
            paid[p.asset] += total;
            executions[p.intent] += 1;
            executed += 1;
            spent[p.asset][block.timestamp / 1 days] += total;
            if (spent[p.asset][block.timestamp / 1 days] > cap) capBreaches += 1;
            if (wasFrozen) frozenMoves += 1;
            return true;
        } catch {
            return false;
        }
    }

    function replay(uint256 which) external {
        if (_sent.length == 0) return;
        Sent memory old = _sent[which % _sent.length];
        if (submit(old.payout, old.signature)) replaysTaken += 1;
    }

    /// The quorum signs an executed intent again, with a later deadline and for the current epoch.
    function resign(uint256 which) external {
        if (_sent.length == 0) return;
        IEscrow.Payout memory p = _sent[which % _sent.length].payout;
        p.epoch = escrow.epoch();
        p.validUntil = uint64(block.timestamp + 1);
        if (submit(p, signed(p))) replaysTaken += 1;
    }

    function forge(uint256 secret, uint256 seed, uint256 order, bool native, uint256 amount) external {
        IEscrow.Payout memory p = random(seed, order, native, amount, 1);
        secret = bound(secret, 1, type(uint128).max);
        if (secret == key.secret) return;
        if (submit(p, sign(keyOf(secret), escrow.payoutDigest(p)))) forgeriesTaken += 1;
    }

    function freezeNow(uint256 seldom) external {
        if (seldom % 4 == 0 && !escrow.frozen()) freeze();
    }

    function depositWhileFrozen(uint256 amount) external {
        if (!escrow.frozen()) return;
        amount = bound(amount, 1, 1 ether);
        vm.deal(address(this), amount);
        try escrow.deposit{value: amount}(orders[0], ETH, amount) {
            frozenMoves += 1;
        } catch {}
    }

    function thaw() external {
        if (!escrow.frozen()) return;
        IEscrow.Thaw memory t = thawing(guardian);
        IEscrow.Signature memory s = sign(key, digest(escrow, t));
        escrow.thaw(t, s);
        thaws += 1;
    }

    function changeCap(bool native, uint256 cap) external {
        setCap(assetOf(native), bound(cap, 0, native ? 200 ether : 2_000_000e6));
    }

    function rotate() external {
        Key memory next = keyOf(++_secret);
        IEscrow.Rotate memory r = rotation(next);
        bytes32 d = digest(escrow, r);
        IEscrow.Signature memory s = sign(key, d);
        escrow.rotate(r, s, sign(next, d));
        key = next;
        rotations += 1;
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 20 hours));
    }
}
