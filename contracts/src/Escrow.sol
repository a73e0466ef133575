// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IEscrow} from "./interfaces/IEscrow.sol";
import {FrostSecp256k1} from "./libraries/FrostSecp256k1.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title Escrow
contract Escrow is IEscrow, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// Bounds the gas of one payout.
    uint256 private constant MAX_RECIPIENTS = 16;
    /// The native coin's name among assets.
    address private constant NATIVE = address(0);

    bytes32 private constant PAYOUT_TYPE = keccak256(
        "Payout(bytes32 intent,bytes32 installation,bytes32 order,address asset,address[] recipients,uint256[] amounts,uint64 validUntil,uint64 epoch)"
    );
    bytes32 private constant SET_CAP_TYPE =
        keccak256("SetCap(address asset,uint256 cap,uint64 nonce,uint64 validUntil,uint64 epoch)");
    bytes32 private constant THAW_TYPE =
        keccak256("Thaw(address guardian,uint64 nonce,uint64 validUntil,uint64 epoch)");
    bytes32 private constant ROTATE_TYPE =
        keccak256("Rotate(uint256 px,uint256 py,uint64 nonce,uint64 validUntil,uint64 epoch)");

    /// Everything a payout needs besides px, in one slot.
    struct Control {
        address guardian;
        uint64 epoch;
        /// Lowest bit of the key's y coordinate.
        uint8 parity;
        bool frozen;
    }

    /// One slot: a payout reads and writes it once. 112 bits hold 5 · 10^15 units of 18 decimals.
    struct Allowance {
        uint112 cap;
        uint112 spent;
        /// UTC day since the epoch to which `spent` belongs.
        uint32 day;
    }

    /// x coordinate of the group key.
    uint256 private _px;
    Control private _control;

    /// @inheritdoc IEscrow
    uint64 public nonce;
    /// @inheritdoc IEscrow
    mapping(bytes32 intent => bool) public executed;
    /// @inheritdoc IEscrow
    mapping(bytes32 order => mapping(address asset => uint256)) public balanceOf;
    mapping(address asset => Allowance) private _allowances;

    /// @param px Affine x coordinate of the first group key.
    /// @param py Affine y coordinate of the first group key.
    /// @param firstGuardian Who may freeze.
    /// @param caps Daily caps; an asset without one is neither taken nor paid out.
    constructor(uint256 px, uint256 py, address firstGuardian, Cap[] memory caps) EIP712("Countersign Escrow", "1") {
        _setGuardian(firstGuardian);
        _setKey(px, py, 1);
        for (uint256 i; i < caps.length; ++i) {
            _setCap(caps[i].asset, caps[i].cap);
        }
    }

    /// @inheritdoc IEscrow
    function deposit(bytes32 order, address asset, uint256 amount) external payable nonReentrant {
        if (_control.frozen) revert IsFrozen();
        if (_allowances[asset].cap == 0) revert AssetNotCapped(asset);
        if (amount == 0) revert ZeroAmount();
        if (msg.value != (asset == NATIVE ? amount : 0)) revert WrongValue();

        // Before the transfer, so that nothing is written after a call into the token; the check below undoes it.
        balanceOf[order][asset] += amount;
        emit Deposited(order, asset, msg.sender, amount);

        if (asset != NATIVE) {
            uint256 before = IERC20(asset).balanceOf(address(this));
            IERC20(asset).safeTransferFrom(msg.sender, address(this), amount);
            uint256 received = IERC20(asset).balanceOf(address(this)) - before;
            if (received != amount) revert InexactTransfer(received);
        }
    }

    /// @inheritdoc IEscrow
    function payout(Payout calldata p, Signature calldata s) external nonReentrant {
        Control memory control = _control;
        if (control.frozen) revert IsFrozen();
        _requireCurrent(control.epoch, p.epoch, p.validUntil);
        if (executed[p.intent]) revert AlreadyExecuted(p.intent);
        uint256 total = _requireSplit(p.recipients, p.amounts);
        if (!_signed(_hashPayout(p), s, _px, control.parity)) revert BadSignature();

        executed[p.intent] = true;
        _take(p.order, p.asset, total);
        _spend(p.asset, total);
        emit PayoutExecuted(p.intent, p.installation, p.order, p.asset, total);

        for (uint256 i; i < p.recipients.length; ++i) {
            _send(p.asset, p.recipients[i], p.amounts[i]);
        }
    }

    /// @inheritdoc IEscrow
    function freeze() external {
        if (msg.sender != _control.guardian) revert NotGuardian();
        if (_control.frozen) revert IsFrozen();
        _control.frozen = true;
        emit Frozen(msg.sender, ++nonce);
    }

    /// @inheritdoc IEscrow
    function thaw(Thaw calldata t, Signature calldata s) external {
        if (!_control.frozen) revert NotFrozen();
        bytes32 structHash = keccak256(abi.encode(THAW_TYPE, t.guardian, t.nonce, t.validUntil, t.epoch));
        _authorise(structHash, s, t.nonce, t.validUntil, t.epoch);
        _setGuardian(t.guardian);
        _control.frozen = false;
        emit Thawed(t.guardian);
    }

    /// @inheritdoc IEscrow
    function setCap(SetCap calldata c, Signature calldata s) external {
        bytes32 structHash = keccak256(abi.encode(SET_CAP_TYPE, c.asset, c.cap, c.nonce, c.validUntil, c.epoch));
        _authorise(structHash, s, c.nonce, c.validUntil, c.epoch);
        _setCap(c.asset, c.cap);
    }

    /// @inheritdoc IEscrow
    function rotate(Rotate calldata r, Signature calldata s, Signature calldata proof) external {
        bytes32 structHash = keccak256(abi.encode(ROTATE_TYPE, r.px, r.py, r.nonce, r.validUntil, r.epoch));
        _authorise(structHash, s, r.nonce, r.validUntil, r.epoch);
        _setKey(r.px, r.py, r.epoch + 1);
        if (!_signed(structHash, proof, r.px, _parity(r.py))) revert BadProofOfKey();
    }

    /// @inheritdoc IEscrow
    function capOf(address asset) external view returns (uint256 cap, uint256 spent) {
        Allowance memory a = _allowances[asset];
        return (a.cap, a.day == _today() ? a.spent : 0);
    }

    /// @inheritdoc IEscrow
    function verifyingKey() external view returns (bytes memory) {
        return abi.encodePacked(uint8(2 + _control.parity), _px);
    }

    /// @inheritdoc IEscrow
    function epoch() external view returns (uint64) {
        return _control.epoch;
    }

    /// @inheritdoc IEscrow
    function frozen() external view returns (bool) {
        return _control.frozen;
    }

    /// @inheritdoc IEscrow
    function guardian() external view returns (address) {
        return _control.guardian;
    }

    /// @inheritdoc IEscrow
    function payoutDigest(Payout calldata p) external view returns (bytes32) {
        return _hashTypedDataV4(_hashPayout(p));
    }

    /// @inheritdoc IEscrow
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// Checks a signed administrative struct and consumes its nonce.
    function _authorise(bytes32 structHash, Signature calldata s, uint64 atNonce, uint64 validUntil, uint64 atEpoch)
        private
    {
        _requireCurrent(_control.epoch, atEpoch, validUntil);
        if (atNonce != nonce) revert WrongNonce(nonce);
        if (!_signed(structHash, s, _px, _control.parity)) revert BadSignature();
        nonce = atNonce + 1;
    }

    function _setKey(uint256 px, uint256 py, uint64 newEpoch) private {
        if (!FrostSecp256k1.isValidKey(px, py)) revert BadKey();
        _px = px;
        _control.parity = _parity(py);
        _control.epoch = newEpoch;
        emit KeyRotated(newEpoch, px, py);
    }

    function _setGuardian(address newGuardian) private {
        if (newGuardian == address(0)) revert ZeroGuardian();
        _control.guardian = newGuardian;
    }

    function _setCap(address asset, uint256 cap) private {
        if (cap > type(uint112).max) revert CapTooLarge();
        // forge-lint: disable-next-line(unsafe-typecast)
        _allowances[asset].cap = uint112(cap);
        emit CapSet(asset, cap);
    }

    /// Takes `total` out of what the order holds.
    function _take(bytes32 order, address asset, uint256 total) private {
        uint256 held = balanceOf[order][asset];
        if (total > held) revert InsufficientDeposit(held);
        unchecked {
            balanceOf[order][asset] = held - total;
        }
    }

    /// Takes `total` out of what is left of today's cap. A cap lowered below today's spending leaves nothing.
    function _spend(address asset, uint256 total) private {
        Allowance memory a = _allowances[asset];
        if (a.cap == 0) revert AssetNotCapped(asset);
        uint32 today = _today();
        uint256 spent = a.day == today ? a.spent : 0;
        uint256 left = a.cap > spent ? a.cap - spent : 0;
        if (total > left) revert CapExceeded(left);
        unchecked {
            // At most the cap, which fits.
            // forge-lint: disable-next-line(unsafe-typecast)
            _allowances[asset] = Allowance(a.cap, uint112(spent + total), today);
        }
    }

    function _send(address asset, address recipient, uint256 amount) private {
        if (asset != NATIVE) {
            IERC20(asset).safeTransfer(recipient, amount);
        } else if (!LowLevelCall.callNoReturn(recipient, amount, "")) {
            // What the recipient returned is not copied: it could be large enough to use up the caller's gas.
            revert TransferFailed(recipient);
        }
    }

    /// The chain id is read at use, so that a signature for one side of a chain fork is void on the other.
    function _signed(bytes32 structHash, Signature calldata s, uint256 px, uint8 parity) private view returns (bool) {
        return FrostSecp256k1.verify(px, parity, s.rx, s.ry, s.z, _hashTypedDataV4(structHash));
    }

    function _parity(uint256 y) private pure returns (uint8) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint8(y & 1);
    }

    function _requireCurrent(uint64 current, uint64 named, uint64 validUntil) private view {
        if (named != current) revert WrongEpoch(current);
        if (block.timestamp > validUntil) revert Expired();
    }

    /// Days since the epoch; 32 bits last for eleven million years.
    function _today() private view returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(block.timestamp / 1 days);
    }

    function _requireSplit(address[] calldata recipients, uint256[] calldata amounts)
        private
        view
        returns (uint256 total)
    {
        uint256 count = recipients.length;
        if (count == 0 || count > MAX_RECIPIENTS || count != amounts.length) revert BadRecipientCount();
        for (uint256 i; i < count; ++i) {
            address recipient = recipients[i];
            if (recipient == address(0) || recipient == address(this)) revert BadRecipient(recipient);
            for (uint256 j; j < i; ++j) {
                if (recipients[j] == recipient) revert BadRecipient(recipient);
            }
            if (amounts[i] == 0) revert ZeroAmount();
            total += amounts[i];
        }
    }

    function _hashPayout(Payout calldata p) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                PAYOUT_TYPE,
                p.intent,
                p.installation,
                p.order,
                p.asset,
                keccak256(abi.encodePacked(p.recipients)),
                keccak256(abi.encodePacked(p.amounts)),
                p.validUntil,
                p.epoch
            )
        );
    }
}
