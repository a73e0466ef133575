// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Escrow of marketplace orders, paid out only by a threshold quorum
/// @notice Anybody may fund an order; only a signature of the quorum's group key moves funds out, and anybody may carry
/// that signature here. There is no proxy and no owner. The guardian can freeze and nothing else.
/// @dev Signatures are FROST(secp256k1, SHA-256) group signatures (RFC 9591) over EIP-712 typed data with the domain
/// name "Countersign Escrow", version "1", the chain id and this contract. Every struct below that carries an epoch is
/// one EIP-712 type of the same name. A recipient that refuses its share makes the whole payout revert and leaves the
/// intent unexecuted. There is no refund path for depositors: a refund is a payout that the quorum signs. Tokens whose
/// balances change without a transfer are not supported: no cap should ever be set for one.
interface IEscrow {
    /// @notice A group signature (R, z); R is given in full because its parity alone cannot be hashed to an address.
    struct Signature {
        uint256 rx;
        uint256 ry;
        uint256 z;
    }

    /// @notice The right to pay one order's funds out once.
    struct Payout {
        /// Id of the intent; executes at most once, whatever the signature.
        bytes32 intent;
        /// Who proposed it.
        bytes32 installation;
        /// The order whose deposits pay.
        bytes32 order;
        /// Token, or zero for the native coin.
        address asset;
        /// 1 to 16 distinct accounts.
        address[] recipients;
        /// What each recipient gets, none of them zero.
        uint256[] amounts;
        /// The last second at which it executes.
        uint64 validUntil;
        /// Epoch of the key that signs.
        uint64 epoch;
    }

    /// @notice The quorum's order to change an asset's daily cap.
    struct SetCap {
        address asset;
        /// The most that may be paid out in one UTC day; zero stops payouts and deposits of the asset.
        uint256 cap;
        /// `nonce()` at execution.
        uint64 nonce;
        uint64 validUntil;
        uint64 epoch;
    }

    /// @notice The quorum's order to lift a freeze.
    struct Thaw {
        /// The guardian from now on, so that a guardian who freezes without need can be replaced.
        address guardian;
        /// `nonce()` at execution; a freeze raises it, so no thaw signed before the freeze can lift it.
        uint64 nonce;
        uint64 validUntil;
        uint64 epoch;
    }

    /// @notice The order to replace the group key, signed by the old key and by the new one.
    struct Rotate {
        /// Affine x coordinate of the new key.
        uint256 px;
        /// Affine y coordinate of the new key.
        uint256 py;
        /// `nonce()` at execution.
        uint64 nonce;
        uint64 validUntil;
        /// Epoch of the old key; the new key's epoch is one more.
        uint64 epoch;
    }

    /// @notice A daily cap set at construction.
    struct Cap {
        address asset;
        uint256 cap;
    }

    /// @notice `amount` of `asset` became available to `order`.
    event Deposited(bytes32 indexed order, address indexed asset, address indexed from, uint256 amount);
    /// @notice The intent has been executed: `total` left the order, split as the signed struct says.
    event PayoutExecuted(
        bytes32 indexed intent, bytes32 indexed installation, bytes32 indexed order, address asset, uint256 total
    );
    /// @notice Deposits and payouts stop.
    event Frozen(address indexed guardian, uint64 nonce);
    /// @notice Deposits and payouts go on, and this guardian may freeze from now on.
    event Thawed(address indexed guardian);
    /// @notice The key of `epoch` is (px, py); older keys sign nothing any more.
    event KeyRotated(uint64 indexed epoch, uint256 px, uint256 py);
    /// @notice At most `cap` of `asset` may be paid out in one UTC day.
    event CapSet(address indexed asset, uint256 cap);

    /// @notice The caller is not the guardian.
    error NotGuardian();
    /// @notice The guardian would be nobody.
    error ZeroGuardian();
    /// @notice The contract is frozen.
    error IsFrozen();
    /// @notice The contract is not frozen.
    error NotFrozen();
    /// @notice The struct is for another epoch than the current one.
    error WrongEpoch(uint64 current);
    /// @notice The struct is for another nonce than the current one.
    error WrongNonce(uint64 current);
    /// @notice `validUntil` has passed.
    error Expired();
    /// @notice The intent has been executed before.
    error AlreadyExecuted(bytes32 intent);
    /// @notice Not 1 to 16 recipients, or not one amount for each.
    error BadRecipientCount();
    /// @notice The zero address, this contract, or an account named twice.
    error BadRecipient(address recipient);
    /// @notice An amount of zero.
    error ZeroAmount();
    /// @notice The order holds less than the payout.
    error InsufficientDeposit(uint256 available);
    /// @notice The asset has no cap, so it is neither taken nor paid out.
    error AssetNotCapped(address asset);
    /// @notice The payout is more than what is left of today's cap.
    error CapExceeded(uint256 left);
    /// @notice A cap above what the accounting can hold.
    error CapTooLarge();
    /// @notice The native coin sent with the call is not what the deposit says.
    error WrongValue();
    /// @notice The token moved another amount than asked for, such as one that charges a fee.
    error InexactTransfer(uint256 received);
    /// @notice The recipient refused the native coin.
    error TransferFailed(address recipient);
    /// @notice The signature is not one of the group key over this struct.
    error BadSignature();
    /// @notice The new key did not sign its own registration.
    error BadProofOfKey();
    /// @notice Not a point of secp256k1 that signatures can be checked against.
    error BadKey();

    /// @notice Funds an order. The caller pays: the native coin with the call, a token by allowance.
    /// @param order Id of the order, SHA-256 of the marketplace's own id.
    /// @param asset Token, or zero for the native coin.
    /// @param amount What the escrow must receive, to the unit.
    function deposit(bytes32 order, address asset, uint256 amount) external payable;

    /// @notice Executes a payout that the quorum signed. Anybody may call it; the caller gains nothing.
    function payout(Payout calldata p, Signature calldata s) external;

    /// @notice Stops deposits and payouts at once. Only the guardian.
    function freeze() external;

    /// @notice Lifts a freeze.
    function thaw(Thaw calldata t, Signature calldata s) external;

    /// @notice Changes an asset's daily cap. What has been paid out today still counts against the new cap.
    function setCap(SetCap calldata c, Signature calldata s) external;

    /// @notice Replaces the group key. `proof` is the new key's signature over the same struct: it shows that the new
    /// quorum can sign before the old one is dismissed. Works while frozen.
    function rotate(Rotate calldata r, Signature calldata s, Signature calldata proof) external;

    /// @notice Whether the intent has been executed.
    function executed(bytes32 intent) external view returns (bool);

    /// @notice What the order holds of the asset.
    function balanceOf(bytes32 order, address asset) external view returns (uint256);

    /// @notice The asset's daily cap and what has been paid out of it today (UTC).
    function capOf(address asset) external view returns (uint256 cap, uint256 spent);

    /// @notice The current key in SEC 1 compressed form, 33 bytes.
    function verifyingKey() external view returns (bytes memory);

    /// @notice Epoch of the current key; the first is 1.
    function epoch() external view returns (uint64);

    /// @notice The nonce that the next signed change of caps, key or freeze must carry.
    function nonce() external view returns (uint64);

    /// @notice Whether deposits and payouts are stopped.
    function frozen() external view returns (bool);

    /// @notice Who may freeze.
    function guardian() external view returns (address);

    /// @notice The message that the quorum signs for this payout: its EIP-712 digest on this contract and chain.
    function payoutDigest(Payout calldata p) external view returns (bytes32);

    /// @notice EIP-712 domain separator of this contract on this chain.
    function domainSeparator() external view returns (bytes32);
}
