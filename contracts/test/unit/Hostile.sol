// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IEscrow} from "../../src/interfaces/IEscrow.sol";

/// Calls back into the escrow when it is paid, and refuses the payment if the call back went through.
contract Reentrant {
    address private immutable TARGET;
    bytes private _call;
    uint256 private _value;
    bool public tried;

    constructor(address target) {
        TARGET = target;
    }

    function prepare(bytes calldata data, uint256 value) external {
        _call = data;
        _value = value;
    }

    receive() external payable {
        tried = true;
        (bool ok,) = TARGET.call{value: _value}(_call);
        require(!ok, "went through");
    }
}

/// Never accepts the native coin.
contract Refusing {
    receive() external payable {
        revert("no");
    }
}

/// Accepts the native coin and returns as much data as its gas buys.
contract Bomb {
    receive() external payable {
        assembly {
            return(0, 300000)
        }
    }
}

/// Pretends that a transfer is a matter of opinion.
contract FalseToken is ERC20("False", "F") {
    bool public lies;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setLies(bool value) external {
        lies = value;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return lies ? false : super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return lies ? false : super.transferFrom(from, to, amount);
    }
}

/// Says that it transfers and does nothing.
contract IdleToken is ERC20("Idle", "I") {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// Keeps one percent of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) ? 0 : amount / 100;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0xFEE), fee);
    }
}

/// Deposits again from within a transfer, to have one transfer counted twice.
contract NestingToken is ERC20("Nesting", "N") {
    IEscrow public escrow;
    bool public blocked;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function aim(IEscrow target) external {
        escrow = target;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (address(escrow) != address(0)) {
            try escrow.deposit(keccak256("order"), address(this), amount) {}
            catch {
                blocked = true;
            }
        }
        return super.transferFrom(from, to, amount);
    }
}

/// Like the oldest tokens: its transfers return nothing.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
