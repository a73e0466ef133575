# METADATA
# title: Payout
# description: Decides proposals to pay an order's escrowed funds out to several recipients.
package payout

import rego.v1

# METADATA
# title: Effect
# description: >-
#   What is violated is denied. What is not is allowed, or reviewed by people when its total is above the asset's
#   threshold. A setting that is missing leaves the denial standing.
default effect := "deny"

effect := "allow" if {
	count(violation) == 0
	_configured
	input.total <= _review_above
}

effect := "review" if {
	count(violation) == 0
	_configured
	input.total > _review_above
}

# METADATA
# title: Approvals
# description: How many people must approve a payout that is reviewed.
default approvals := 0

approvals := data.config.payout.approvals_required if effect == "review"

_configured if {
	is_number(data.config.payout.approvals_required)
	is_number(data.config.payout.max_line_items)
	is_number(data.config.payout.max_splits)
	is_number(data.config.payout.max_token_lifetime)
	is_number(data.config.payout.max_validity_seconds)
	is_number(data.config.payout.min_kyc_level)
	is_number(data.config.payout.review_above["*"])
	is_number(_review_above)
}

_review_above := object.get(data.config.payout.review_above, input.proposal.asset, data.config.payout.review_above["*"])

# The largest integer that every JSON reader keeps exactly: 2^53 - 1.
_max_amount := 9007199254740991

default _symbol := "the asset"

_symbol := input.asset.symbol if is_object(input.asset)

# METADATA
# title: Frozen everywhere
# description: All signing, or all payouts, are frozen.
violation contains {"code": "frozen", "msg": "payouts are frozen for everyone"} if input.frozen

# METADATA
# title: Frozen tenant
# description: The tenant is frozen.
violation contains {
	"code": "frozen",
	"msg": sprintf("tenant %s is frozen", [input.tenant.id]),
} if {
	input.tenant.frozen
}

# METADATA
# title: Frozen plugin
# description: The plugin is frozen in this tenant or everywhere.
violation contains {
	"code": "frozen",
	"msg": sprintf("plugin %s is frozen", [input.plugin.id]),
} if {
	input.plugin.frozen
}

# METADATA
# title: Frozen installation
# description: The installation is frozen.
violation contains {
	"code": "frozen",
	"msg": sprintf("installation %s is frozen", [input.installation.id]),
} if {
	input.installation.frozen
}

# METADATA
# title: Inactive plugin
# description: The granted plugin version is suspended or withdrawn.
violation contains {
	"code": "plugin_inactive",
	"msg": sprintf("plugin %s %s is %s", [input.plugin.id, input.plugin.version, input.plugin.state]),
} if {
	input.plugin.state != "active"
}

# METADATA
# title: Inactive installation
# description: The installation is suspended or removed.
violation contains {
	"code": "installation_inactive",
	"msg": sprintf("installation %s is %s", [input.installation.id, input.installation.state]),
} if {
	input.installation.state != "active"
}

# METADATA
# title: Expired installation
# description: The installation's grant has ended.
violation contains {
	"code": "installation_expired",
	"msg": sprintf("the grant ended at %d, it is %d (unix seconds)", [input.installation.expires_at, input.now]),
} if {
	input.installation.expires_at <= input.now
}

# METADATA
# title: Missing capability
# description: The grant does not contain the payout command.
violation contains {
	"code": "capability_missing",
	"msg": sprintf("the grant of installation %s does not contain /proposal/payout", [input.installation.id]),
} if {
	not "/proposal/payout" in input.installation.capabilities
}

# METADATA
# title: Expired token
# description: The invocation that carries the proposal has expired.
violation contains {
	"code": "token_expired",
	"msg": sprintf("the invocation expired at %d, it is %d (unix seconds)", [input.token.expires_at, input.now]),
} if {
	input.token.expires_at <= input.now
}

# METADATA
# title: Token lifetime
# description: The invocation expires later than tokens that move funds may.
violation contains {
	"code": "token_lifetime",
	"msg": sprintf(
		"the invocation is valid for another %d seconds, at most %d are allowed",
		[input.token.lifetime_left, data.config.payout.max_token_lifetime],
	),
} if {
	input.token.lifetime_left > data.config.payout.max_token_lifetime
}

# METADATA
# title: Expired proposal
# description: The proposal's validity has ended.
violation contains {
	"code": "proposal_expired",
	"msg": sprintf("the proposal was valid until %d, it is %d (unix seconds)", [input.proposal.valid_until, input.now]),
} if {
	input.proposal.valid_until <= input.now
}

# METADATA
# title: Proposal validity
# description: The proposal's validity ends too far ahead.
violation contains {
	"code": "proposal_validity",
	"msg": sprintf(
		"the proposal is valid for another %d seconds, at most %d are allowed",
		[input.proposal.valid_until - input.now, data.config.payout.max_validity_seconds],
	),
} if {
	input.proposal.valid_until - input.now > data.config.payout.max_validity_seconds
}

# METADATA
# title: Unknown order
# description: The tenant has no such order.
violation contains {
	"code": "unknown_order",
	"msg": sprintf("order %s is not known", [input.proposal.order]),
} if {
	not is_object(input.order)
}

# METADATA
# title: Closed order
# description: The order is closed.
violation contains {
	"code": "order_closed",
	"msg": sprintf("order %s is %s", [input.order.id, input.order.state]),
} if {
	input.order.state != "open"
}

# METADATA
# title: Order asset
# description: The order's escrow holds another asset.
violation contains {
	"code": "order_asset",
	"msg": sprintf("order %s holds %s, the payout is in %s", [input.order.id, input.order.asset, input.proposal.asset]),
} if {
	input.order.asset != input.proposal.asset
}

# METADATA
# title: Order available
# description: The payout is more than what is left of the order.
violation contains {
	"code": "order_available",
	"msg": sprintf(
		"the payout is %d minor units of %s, order %s has %d left of %d",
		[input.total, _symbol, input.order.id, input.order.available, input.order.amount],
	),
} if {
	input.total > input.order.available
}

# METADATA
# title: Unknown asset
# description: The tenant's asset table does not have the asset.
violation contains {
	"code": "unknown_asset",
	"msg": sprintf("asset %s is not in the tenant's asset table", [input.proposal.asset]),
} if {
	not _asset_known
}

_asset_known if input.asset.id == input.proposal.asset

# METADATA
# title: Asset not allowed
# description: The grant sets no limits for the asset.
violation contains {
	"code": "asset_not_allowed",
	"msg": sprintf("the grant of installation %s does not allow %s", [input.installation.id, input.proposal.asset]),
} if {
	not is_object(input.limits)
}

# METADATA
# title: Total
# description: The total is not an amount.
violation contains {
	"code": "amount",
	"msg": sprintf("the total is %d minor units of %s, not 1 to 9007199254740991", [input.total, _symbol]),
} if {
	not _is_amount(input.total)
}

# METADATA
# title: Part
# description: A recipient's part is not an amount.
violation contains {
	"code": "amount",
	"msg": sprintf("the part of %s is %d minor units of %s, not 1 to 9007199254740991", [s.recipient, s.amount, _symbol]),
} if {
	some s in input.splits
	not _is_amount(s.amount)
}

# METADATA
# title: Line item
# description: A line item is not an amount.
violation contains {
	"code": "amount",
	"msg": sprintf("line item %d is %d minor units of %s, not 1 to 9007199254740991", [i + 1, item.amount, _symbol]),
} if {
	some i, item in input.line_items
	not _is_amount(item.amount)
}

_is_amount(n) if {
	n > 0
	n <= _max_amount
}

# METADATA
# title: Payout limit
# description: The payout is above the grant's limit for one payout.
violation contains {
	"code": "payout_limit",
	"msg": sprintf(
		"the payout is %d minor units of %s, the limit for one payout is %d",
		[input.total, _symbol, input.limits.max_per_payout],
	),
} if {
	input.total > input.limits.max_per_payout
}

# METADATA
# title: Daily limit
# description: The payout would take the UTC day above the grant's daily limit.
violation contains {
	"code": "daily_limit",
	"msg": sprintf(
		"the payout of %d takes the day to %d minor units of %s (%d spent, %d reserved), the daily limit is %d",
		[input.total, _day_total, _symbol, input.budget.spent, input.budget.reserved, input.limits.daily_total],
	),
} if {
	_day_total > input.limits.daily_total
}

_day_total := (input.budget.reserved + input.budget.spent) + input.total

# METADATA
# title: Sum of shares
# description: The shares do not sum to the whole.
violation contains {
	"code": "splits_sum",
	"msg": sprintf("the shares sum to %d basis points, not 10000", [shares]),
} if {
	shares := sum([s.bps | some s in input.splits])
	shares != 10000
}

# METADATA
# title: Sum of parts
# description: The parts do not sum to the total.
violation contains {
	"code": "splits_amount",
	"msg": sprintf("the parts sum to %d minor units of %s, the total is %d", [parts, _symbol, input.total]),
} if {
	parts := sum([s.amount | some s in input.splits])
	parts != input.total
}

# METADATA
# title: Part of the total
# description: A part is a whole minor unit or more away from its share of the total.
violation contains {
	"code": "splits_amount",
	"msg": sprintf(
		"the part of %s is %d minor units of %s, which is not %d basis points of %d",
		[s.recipient, s.amount, _symbol, s.bps, input.total],
	),
} if {
	some s in input.splits
	abs((s.amount * 10000) - (s.bps * input.total)) >= 10000
}

# METADATA
# title: Number of recipients
# description: More recipients than one payout may have.
violation contains {
	"code": "splits_count",
	"msg": sprintf("%d recipients, at most %d are allowed", [count(input.splits), data.config.payout.max_splits]),
} if {
	count(input.splits) > data.config.payout.max_splits
}

# METADATA
# title: Duplicate recipient
# description: A recipient appears more than once.
violation contains {
	"code": "duplicate_recipient",
	"msg": sprintf("%s appears %d times", [a.recipient, times]),
} if {
	count({s.recipient | some s in input.splits}) < count(input.splits)
	some a in input.splits
	times := count([1 | some b in input.splits; b.recipient == a.recipient])
	times > 1
}

# METADATA
# title: Unverified recipient
# description: Nobody has verified the recipient.
violation contains {
	"code": "recipient_unverified",
	"msg": sprintf("%s has not been verified", [s.recipient]),
} if {
	some s in input.splits
	not input.recipients[s.recipient]
}

# METADATA
# title: KYC level
# description: The recipient's KYC level is too low.
violation contains {
	"code": "recipient_kyc_level",
	"msg": sprintf("%s has KYC level %d, at least %d is required", [s.recipient, level, data.config.payout.min_kyc_level]),
} if {
	some s in input.splits
	level := input.recipients[s.recipient].kyc_level
	level < data.config.payout.min_kyc_level
}

# METADATA
# title: Expired verification
# description: The recipient's verification has ended.
violation contains {
	"code": "recipient_kyc_expired",
	"msg": sprintf("the verification of %s ended at %d, it is %d (unix seconds)", [s.recipient, until, input.now]),
} if {
	some s in input.splits
	until := input.recipients[s.recipient].valid_until
	until < input.now
}

# METADATA
# title: Sanctioned recipient
# description: The recipient is on a sanctions list.
violation contains {
	"code": "recipient_sanctioned",
	"msg": sprintf("%s is on a sanctions list, says %s", [s.recipient, fact.provider]),
} if {
	some s in input.splits
	fact := input.recipients[s.recipient]
	fact.sanctioned
}

# METADATA
# title: Unpaid royalty
# description: A royalty recipient of the order gets less than its share.
violation contains {
	"code": "royalty_unpaid",
	"msg": sprintf(
		"%s gets %d basis points, order %s owes it at least %d",
		[royalty.recipient, share, input.order.id, royalty.bps],
	),
} if {
	some royalty in input.order.royalties
	share := sum([s.bps | some s in input.splits; s.recipient == royalty.recipient])
	share < royalty.bps
}

# METADATA
# title: Sum of line items
# description: The line items do not sum to the total.
violation contains {
	"code": "line_items_sum",
	"msg": sprintf("the line items sum to %d minor units of %s, the total is %d", [items, _symbol, input.total]),
} if {
	count(input.line_items) > 0
	items := sum([item.amount | some item in input.line_items])
	items != input.total
}

# METADATA
# title: Number of line items
# description: More line items than one payout may have.
violation contains {
	"code": "line_items_count",
	"msg": sprintf("%d line items, at most %d are allowed", [count(input.line_items), data.config.payout.max_line_items]),
} if {
	count(input.line_items) > data.config.payout.max_line_items
}
