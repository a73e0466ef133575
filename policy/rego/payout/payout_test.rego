package payout_test

import rego.v1

import data.payout

_usdc := "eip155:1/erc20:0xa0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0"

_seller := "eip155:1:0x0101010101010101010101010101010101010101"

_creator := "eip155:1:0x0202020202020202020202020202020202020202"

_fact := {
	"kyc_level": 2,
	"provider": "did:key:z6MkProvider",
	"sanctioned": false,
	"valid_until": 1900000000,
}

_ordinary := {
	"action": "payout",
	"asset": {"decimals": 6, "id": _usdc, "symbol": "USDC"},
	"budget": {"reserved": 50000000, "spent": 200000000},
	"frozen": false,
	"installation": {
		"capabilities": ["/proposal/payout"],
		"expires_at": 1810000000,
		"frozen": false,
		"granted_at": 1799900000,
		"id": "did:key:z6MkInstallation",
		"state": "active",
	},
	"limits": {"daily_total": 5000000000, "max_per_payout": 2000000000},
	"line_items": [{"amount": 60000000, "description": "Licence"}, {"amount": 40000000, "description": "Support"}],
	"now": 1800000000,
	"order": {
		"amount": 250000000,
		"asset": _usdc,
		"available": 250000000,
		"id": "order-1",
		"royalties": [{"bps": 500, "recipient": _creator}],
		"state": "open",
	},
	"plugin": {"frozen": false, "id": "com.example.payouts", "state": "active", "version": "1.4.0"},
	"proposal": {"asset": _usdc, "order": "order-1", "valid_until": 1800086400},
	"recipients": {_seller: _fact, _creator: _fact},
	"splits": [
		{"amount": 95000000, "bps": 9500, "recipient": _seller},
		{"amount": 5000000, "bps": 500, "recipient": _creator},
	],
	"tenant": {"frozen": false, "id": "did:key:z6MkTenant"},
	"token": {"expires_at": 1800000600, "lifetime_left": 600},
	"total": 100000000,
}

# The ordinary input with some fields replaced, deeply.
_but(changes) := object.union(_ordinary, changes)

# An input that pays `total` to the seller and the creator and has limits and order to match.
_of(total, seller, creator) := _but({
	"total": total,
	"line_items": [],
	"limits": {"daily_total": 9007199254740991, "max_per_payout": 9007199254740991},
	"order": {"amount": 9007199254740991, "available": 9007199254740991},
	"splits": [
		{"amount": seller, "bps": 9500, "recipient": _seller},
		{"amount": creator, "bps": 500, "recipient": _creator},
	],
})

_codes := {v.code | some v in payout.violation}

_msgs := {v.msg | some v in payout.violation}

test_ordinary_payout_is_allowed if {
	payout.violation == set() with input as _ordinary
	payout.effect == "allow" with input as _ordinary
}

test_allowed_payout_needs_no_approvals if {
	payout.approvals == 0 with input as _ordinary
}

test_empty_input_is_denied if {
	payout.effect == "deny" with input as {}
}

test_everything_frozen_is_denied if {
	_codes == {"frozen"} with input as _but({"frozen": true})
	payout.effect == "deny" with input as _but({"frozen": true})
	payout.approvals == 0 with input as _but({"frozen": true})
}

test_frozen_tenant_is_denied if {
	_codes == {"frozen"} with input as _but({"tenant": {"frozen": true}})
	payout.effect == "deny" with input as _but({"tenant": {"frozen": true}})
	payout.approvals == 0 with input as _but({"tenant": {"frozen": true}})
}

test_frozen_plugin_is_denied if {
	_codes == {"frozen"} with input as _but({"plugin": {"frozen": true}})
	payout.effect == "deny" with input as _but({"plugin": {"frozen": true}})
	payout.approvals == 0 with input as _but({"plugin": {"frozen": true}})
}

test_frozen_installation_is_denied if {
	_codes == {"frozen"} with input as _but({"installation": {"frozen": true}})
	payout.effect == "deny" with input as _but({"installation": {"frozen": true}})
	payout.approvals == 0 with input as _but({"installation": {"frozen": true}})
}

test_every_frozen_scope_is_named if {
	count(payout.violation) == 4 with input as _but({
		"frozen": true,
		"tenant": {"frozen": true},
		"plugin": {"frozen": true},
		"installation": {"frozen": true},
	})
}

test_suspended_plugin_is_denied if {
	_codes == {"plugin_inactive"} with input as _but({"plugin": {"state": "suspended"}})
	payout.effect == "deny" with input as _but({"plugin": {"state": "suspended"}})
	payout.approvals == 0 with input as _but({"plugin": {"state": "suspended"}})
}

test_withdrawn_plugin_is_denied if {
	_codes == {"plugin_inactive"} with input as _but({"plugin": {"state": "withdrawn"}})
	payout.effect == "deny" with input as _but({"plugin": {"state": "withdrawn"}})
	payout.approvals == 0 with input as _but({"plugin": {"state": "withdrawn"}})
}

test_suspended_installation_is_denied if {
	_codes == {"installation_inactive"} with input as _but({"installation": {"state": "suspended"}})
	payout.effect == "deny" with input as _but({"installation": {"state": "suspended"}})
	payout.approvals == 0 with input as _but({"installation": {"state": "suspended"}})
}

test_removed_installation_is_denied if {
	_codes == {"installation_inactive"} with input as _but({"installation": {"state": "removed"}})
	payout.effect == "deny" with input as _but({"installation": {"state": "removed"}})
	payout.approvals == 0 with input as _but({"installation": {"state": "removed"}})
}

test_grant_that_ends_now_is_denied if {
	_codes == {"installation_expired"} with input as _but({"installation": {"expires_at": 1800000000}})
	payout.effect == "deny" with input as _but({"installation": {"expires_at": 1800000000}})
	payout.approvals == 0 with input as _but({"installation": {"expires_at": 1800000000}})
}

test_grant_that_ends_in_a_second_is_allowed if {
	payout.violation == set() with input as _but({"installation": {"expires_at": 1800000001}})
	payout.effect == "allow" with input as _but({"installation": {"expires_at": 1800000001}})
}

test_grant_without_capabilities_is_denied if {
	_codes == {"capability_missing"} with input as _but({"installation": {"capabilities": []}})
	payout.effect == "deny" with input as _but({"installation": {"capabilities": []}})
	payout.approvals == 0 with input as _but({"installation": {"capabilities": []}})
}

test_grant_with_other_capability_is_denied if {
	_codes == {"capability_missing"} with input as _but({"installation": {"capabilities": ["/proposal/refund"]}})
	payout.effect == "deny" with input as _but({"installation": {"capabilities": ["/proposal/refund"]}})
	payout.approvals == 0 with input as _but({"installation": {"capabilities": ["/proposal/refund"]}})
}

test_capability_that_only_begins_alike_is_denied if {
	_codes == {"capability_missing"} with input as _but({"installation": {"capabilities": ["/proposal/payouts"]}})
	payout.effect == "deny" with input as _but({"installation": {"capabilities": ["/proposal/payouts"]}})
	payout.approvals == 0 with input as _but({"installation": {"capabilities": ["/proposal/payouts"]}})
}

test_capability_among_others_is_allowed if {
	payout.violation == set() with input as _but({"installation": {"capabilities": ["/proposal/cancel", "/proposal/payout"]}})
	payout.effect == "allow" with input as _but({"installation": {"capabilities": ["/proposal/cancel", "/proposal/payout"]}})
}

test_token_that_expires_now_is_denied if {
	_codes == {"token_expired"} with input as _but({"token": {"expires_at": 1800000000, "lifetime_left": 0}})
	payout.effect == "deny" with input as _but({"token": {"expires_at": 1800000000, "lifetime_left": 0}})
	payout.approvals == 0 with input as _but({"token": {"expires_at": 1800000000, "lifetime_left": 0}})
}

test_token_of_fifteen_minutes_is_allowed if {
	payout.violation == set() with input as _but({"token": {"expires_at": 1800000900, "lifetime_left": 900}})
	payout.effect == "allow" with input as _but({"token": {"expires_at": 1800000900, "lifetime_left": 900}})
}

test_token_of_more_than_fifteen_minutes_is_denied if {
	_codes == {"token_lifetime"} with input as _but({"token": {"expires_at": 1800000901, "lifetime_left": 901}})
	payout.effect == "deny" with input as _but({"token": {"expires_at": 1800000901, "lifetime_left": 901}})
	payout.approvals == 0 with input as _but({"token": {"expires_at": 1800000901, "lifetime_left": 901}})
}

test_proposal_that_ends_now_is_denied if {
	_codes == {"proposal_expired"} with input as _but({"proposal": {"valid_until": 1800000000}})
	payout.effect == "deny" with input as _but({"proposal": {"valid_until": 1800000000}})
	payout.approvals == 0 with input as _but({"proposal": {"valid_until": 1800000000}})
}

test_proposal_that_ends_in_a_second_is_allowed if {
	payout.violation == set() with input as _but({"proposal": {"valid_until": 1800000001}})
	payout.effect == "allow" with input as _but({"proposal": {"valid_until": 1800000001}})
}

test_proposal_of_a_week_is_allowed if {
	payout.violation == set() with input as _but({"proposal": {"valid_until": 1800604800}})
	payout.effect == "allow" with input as _but({"proposal": {"valid_until": 1800604800}})
}

test_proposal_of_more_than_a_week_is_denied if {
	_codes == {"proposal_validity"} with input as _but({"proposal": {"valid_until": 1800604801}})
	payout.effect == "deny" with input as _but({"proposal": {"valid_until": 1800604801}})
	payout.approvals == 0 with input as _but({"proposal": {"valid_until": 1800604801}})
}

test_unknown_order_is_denied if {
	_codes == {"unknown_order"} with input as _but({"order": null})
	payout.effect == "deny" with input as _but({"order": null})
	payout.approvals == 0 with input as _but({"order": null})
}

test_missing_order_is_denied if {
	_codes == {"unknown_order"} with input as object.remove(_ordinary, ["order"])
	payout.effect == "deny" with input as object.remove(_ordinary, ["order"])
	payout.approvals == 0 with input as object.remove(_ordinary, ["order"])
}

test_closed_order_is_denied if {
	_codes == {"order_closed"} with input as _but({"order": {"state": "closed"}})
	payout.effect == "deny" with input as _but({"order": {"state": "closed"}})
	payout.approvals == 0 with input as _but({"order": {"state": "closed"}})
}

test_order_of_other_asset_is_denied if {
	_codes == {"order_asset"} with input as _but({"order": {"asset": "eip155:1/slip44:60"}})
	payout.effect == "deny" with input as _but({"order": {"asset": "eip155:1/slip44:60"}})
	payout.approvals == 0 with input as _but({"order": {"asset": "eip155:1/slip44:60"}})
}

test_payout_of_all_that_is_left_is_allowed if {
	payout.violation == set() with input as _but({"order": {"available": 100000000}})
	payout.effect == "allow" with input as _but({"order": {"available": 100000000}})
}

test_payout_of_more_than_is_left_is_denied if {
	_codes == {"order_available"} with input as _but({"order": {"available": 99999999}})
	payout.effect == "deny" with input as _but({"order": {"available": 99999999}})
	payout.approvals == 0 with input as _but({"order": {"available": 99999999}})
}

test_unknown_asset_is_denied if {
	_codes == {"unknown_asset"} with input as _but({"asset": null})
	payout.effect == "deny" with input as _but({"asset": null})
	payout.approvals == 0 with input as _but({"asset": null})
}

test_asset_fact_of_other_asset_is_denied if {
	_codes == {"unknown_asset"} with input as _but({"asset": {"id": "eip155:1/slip44:60"}})
	payout.effect == "deny" with input as _but({"asset": {"id": "eip155:1/slip44:60"}})
	payout.approvals == 0 with input as _but({"asset": {"id": "eip155:1/slip44:60"}})
}

test_asset_without_limits_is_denied if {
	_codes == {"asset_not_allowed"} with input as _but({"limits": null})
	payout.effect == "deny" with input as _but({"limits": null})
	payout.approvals == 0 with input as _but({"limits": null})
}

test_payout_at_the_limit_is_allowed if {
	payout.violation == set() with input as _but({"limits": {"max_per_payout": 100000000}})
	payout.effect == "allow" with input as _but({"limits": {"max_per_payout": 100000000}})
}

test_payout_above_the_limit_is_denied if {
	_codes == {"payout_limit"} with input as _but({"limits": {"max_per_payout": 99999999}})
	payout.effect == "deny" with input as _but({"limits": {"max_per_payout": 99999999}})
	payout.approvals == 0 with input as _but({"limits": {"max_per_payout": 99999999}})
}

test_day_at_the_limit_is_allowed if {
	payout.violation == set() with input as _but({"limits": {"daily_total": 350000000}})
	payout.effect == "allow" with input as _but({"limits": {"daily_total": 350000000}})
}

test_day_above_the_limit_is_denied if {
	_codes == {"daily_limit"} with input as _but({"limits": {"daily_total": 349999999}})
	payout.effect == "deny" with input as _but({"limits": {"daily_total": 349999999}})
	payout.approvals == 0 with input as _but({"limits": {"daily_total": 349999999}})
}

test_reserved_amounts_count_for_the_day if {
	_codes == {"daily_limit"} with input as _but({"budget": {"reserved": 4700000001}})
	payout.effect == "deny" with input as _but({"budget": {"reserved": 4700000001}})
	payout.approvals == 0 with input as _but({"budget": {"reserved": 4700000001}})
}

test_spent_amounts_count_for_the_day if {
	_codes == {"daily_limit"} with input as _but({"budget": {"spent": 4850000001}})
	payout.effect == "deny" with input as _but({"budget": {"spent": 4850000001}})
	payout.approvals == 0 with input as _but({"budget": {"spent": 4850000001}})
}

test_total_of_zero_is_denied if {
	_codes == {"amount"} with input as _of(0, 0, 0)
	payout.effect == "deny" with input as _of(0, 0, 0)
	payout.approvals == 0 with input as _of(0, 0, 0)
}

test_total_above_exact_json_is_denied if {
	_codes == {"amount", "daily_limit", "order_available", "payout_limit"} with input as _of(9007199254740992, 8556839292003942, 450359962737050)
	payout.effect == "deny" with input as _of(9007199254740992, 8556839292003942, 450359962737050)
	payout.approvals == 0 with input as _of(9007199254740992, 8556839292003942, 450359962737050)
}

test_largest_amount_is_reviewed if {
	payout.violation == set() with input as object.union(_of(9007199254740991, 8556839292003941, 450359962737050), {"budget": {"reserved": 0, "spent": 0}})
	payout.effect == "review" with input as object.union(_of(9007199254740991, 8556839292003941, 450359962737050), {"budget": {"reserved": 0, "spent": 0}})
}

test_one_above_the_day_is_seen_at_the_largest_amount if {
	_codes == {"daily_limit"} with input as object.union(_of(9007199254740991, 8556839292003941, 450359962737050), {"budget": {"reserved": 1, "spent": 0}})
	payout.effect == "deny" with input as object.union(_of(9007199254740991, 8556839292003941, 450359962737050), {"budget": {"reserved": 1, "spent": 0}})
	payout.approvals == 0 with input as object.union(_of(9007199254740991, 8556839292003941, 450359962737050), {"budget": {"reserved": 1, "spent": 0}})
}

test_line_item_of_zero_is_denied if {
	_codes == {"amount"} with input as _but({"line_items": [{"amount": 0, "description": "Gift"}, {"amount": 100000000, "description": "Licence"}]})
	payout.effect == "deny" with input as _but({"line_items": [{"amount": 0, "description": "Gift"}, {"amount": 100000000, "description": "Licence"}]})
	payout.approvals == 0 with input as _but({"line_items": [{"amount": 0, "description": "Gift"}, {"amount": 100000000, "description": "Licence"}]})
}

test_payout_at_the_threshold_is_allowed if {
	payout.violation == set() with input as _of(1000000000, 950000000, 50000000)
	payout.effect == "allow" with input as _of(1000000000, 950000000, 50000000)
}

test_payout_above_the_threshold_is_reviewed if {
	payout.violation == set() with input as _of(1000000001, 950000001, 50000000)
	payout.effect == "review" with input as _of(1000000001, 950000001, 50000000)
}

test_reviewed_payout_needs_an_approval if {
	payout.approvals == 1 with input as _of(1000000001, 950000001, 50000000)
}

test_threshold_of_the_asset_goes_before_the_general_one if {
	payout.effect == "review" with input as _ordinary
		with data.config.payout.review_above as {"*": 1000000000, _usdc: 99999999}
}

test_approvals_are_configured if {
	payout.approvals == 3 with input as _of(1000000001, 950000001, 50000000)
		with data.config.payout.approvals_required as 3
}

test_missing_general_threshold_denies if {
	payout.effect == "deny" with input as _ordinary with data.config.payout.review_above as {_usdc: 1000000000}
}

test_missing_settings_deny if {
	payout.effect == "deny" with input as _ordinary with data.config.payout as {}
}

test_denied_payout_above_the_threshold_needs_no_approvals if {
	changed := object.union(_of(1000000001, 950000001, 50000000), {"frozen": true})
	payout.effect == "deny" with input as changed
	payout.approvals == 0 with input as changed
}

test_messages_name_numbers_and_units if {
	"the payout is 100000000 minor units of USDC, the limit for one payout is 99999999" in _msgs with input as _but({"limits": {"max_per_payout": 99999999}})
}

test_message_of_the_day_names_its_parts if {
	message := "the payout of 100000000 takes the day to 350000000 minor units of USDC (200000000 spent, 50000000 reserved), the daily limit is 1"
	message in _msgs with input as _but({"limits": {"daily_total": 1}})
}
