package payout_test

import rego.v1

import data.payout

# Shares, recipients, royalties and line items. The inputs are built by the other file of this package.

test_shares_below_the_whole_are_denied if {
	_codes == {"splits_sum", "splits_amount"} with input as _but({"splits": [{"amount": 95000000, "bps": 9499, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
	payout.effect == "deny" with input as _but({"splits": [{"amount": 95000000, "bps": 9499, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
	payout.approvals == 0 with input as _but({"splits": [{"amount": 95000000, "bps": 9499, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
}

test_shares_above_the_whole_are_denied if {
	_codes == {"splits_sum", "splits_amount"} with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 501, "recipient": _creator}]})
	payout.effect == "deny" with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 501, "recipient": _creator}]})
	payout.approvals == 0 with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 501, "recipient": _creator}]})
}

test_no_splits_are_denied if {
	_codes == {"splits_sum", "splits_amount", "royalty_unpaid"} with input as _but({"splits": []})
	payout.effect == "deny" with input as _but({"splits": []})
	payout.approvals == 0 with input as _but({"splits": []})
}

test_parts_below_the_total_are_denied if {
	_codes == {"splits_amount"} with input as _but({"splits": [{"amount": 94999999, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
	payout.effect == "deny" with input as _but({"splits": [{"amount": 94999999, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
	payout.approvals == 0 with input as _but({"splits": [{"amount": 94999999, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _creator}]})
}

test_parts_that_shift_a_unit_are_denied if {
	_codes == {"splits_amount"} with input as _but({"splits": [{"amount": 95000001, "bps": 9500, "recipient": _seller}, {"amount": 4999999, "bps": 500, "recipient": _creator}]})
	payout.effect == "deny" with input as _but({"splits": [{"amount": 95000001, "bps": 9500, "recipient": _seller}, {"amount": 4999999, "bps": 500, "recipient": _creator}]})
	payout.approvals == 0 with input as _but({"splits": [{"amount": 95000001, "bps": 9500, "recipient": _seller}, {"amount": 4999999, "bps": 500, "recipient": _creator}]})
}

test_parts_rounded_by_less_than_a_unit_are_allowed if {
	payout.violation == set() with input as _of(101, 96, 5)
	payout.effect == "allow" with input as _of(101, 96, 5)
}

test_part_rounded_up_is_allowed if {
	payout.violation == set() with input as _of(110, 104, 6)
	payout.effect == "allow" with input as _of(110, 104, 6)
}

_many(n) := [{"amount": 1, "bps": 1, "recipient": sprintf("r%d", [i])} | some i in numbers.range(1, n)]

test_sixteen_recipients_are_not_too_many if {
	not "splits_count" in _codes with input as _but({"splits": _many(16)})
}

test_seventeen_recipients_are_too_many if {
	"splits_count" in _codes with input as _but({"splits": _many(17)})
}

_items(n) := [{"amount": 1, "description": "Item"} | some _ in numbers.range(1, n)]

test_fifty_line_items_are_not_too_many if {
	not "line_items_count" in _codes with input as _but({"line_items": _items(50)})
}

test_fifty_one_line_items_are_too_many if {
	"line_items_count" in _codes with input as _but({"line_items": _items(51)})
}

test_duplicate_recipient_is_denied if {
	_codes == {"duplicate_recipient", "royalty_unpaid"} with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _seller}]})
	payout.effect == "deny" with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _seller}]})
	payout.approvals == 0 with input as _but({"splits": [{"amount": 95000000, "bps": 9500, "recipient": _seller}, {"amount": 5000000, "bps": 500, "recipient": _seller}]})
}

test_duplicate_recipient_is_named_once if {
	changed := _but({"splits": [
		{"amount": 95000000, "bps": 9500, "recipient": _seller},
		{"amount": 5000000, "bps": 500, "recipient": _seller},
	]})
	sprintf("%s appears 2 times", [_seller]) in _msgs with input as changed
	count(payout.violation) == 2 with input as changed
}

test_unverified_recipient_is_denied if {
	_codes == {"recipient_unverified"} with input as object.union(object.remove(_ordinary, ["recipients"]), {"recipients": {_creator: _fact}})
	payout.effect == "deny" with input as object.union(object.remove(_ordinary, ["recipients"]), {"recipients": {_creator: _fact}})
	payout.approvals == 0 with input as object.union(object.remove(_ordinary, ["recipients"]), {"recipients": {_creator: _fact}})
}

test_missing_recipients_are_denied if {
	_codes == {"recipient_unverified"} with input as object.remove(_ordinary, ["recipients"])
	payout.effect == "deny" with input as object.remove(_ordinary, ["recipients"])
	payout.approvals == 0 with input as object.remove(_ordinary, ["recipients"])
}

test_recipient_of_level_zero_is_denied if {
	_codes == {"recipient_kyc_level"} with input as _but({"recipients": {_seller: {"kyc_level": 0}}})
	payout.effect == "deny" with input as _but({"recipients": {_seller: {"kyc_level": 0}}})
	payout.approvals == 0 with input as _but({"recipients": {_seller: {"kyc_level": 0}}})
}

test_recipient_of_level_one_is_allowed if {
	payout.violation == set() with input as _but({"recipients": {_seller: {"kyc_level": 1}}})
	payout.effect == "allow" with input as _but({"recipients": {_seller: {"kyc_level": 1}}})
}

test_ended_verification_is_denied if {
	_codes == {"recipient_kyc_expired"} with input as _but({"recipients": {_seller: {"valid_until": 1799999999}}})
	payout.effect == "deny" with input as _but({"recipients": {_seller: {"valid_until": 1799999999}}})
	payout.approvals == 0 with input as _but({"recipients": {_seller: {"valid_until": 1799999999}}})
}

test_verification_that_ends_now_is_allowed if {
	payout.violation == set() with input as _but({"recipients": {_seller: {"valid_until": 1800000000}}})
	payout.effect == "allow" with input as _but({"recipients": {_seller: {"valid_until": 1800000000}}})
}

test_sanctioned_recipient_is_denied if {
	_codes == {"recipient_sanctioned"} with input as _but({"recipients": {_creator: {"sanctioned": true}}})
	payout.effect == "deny" with input as _but({"recipients": {_creator: {"sanctioned": true}}})
	payout.approvals == 0 with input as _but({"recipients": {_creator: {"sanctioned": true}}})
}

test_fact_of_somebody_who_is_not_paid_does_not_matter if {
	payout.violation == set() with input as _but({"recipients": {"other": {"kyc_level": 0, "provider": "p", "sanctioned": true, "valid_until": 0}}})
	payout.effect == "allow" with input as _but({"recipients": {"other": {"kyc_level": 0, "provider": "p", "sanctioned": true, "valid_until": 0}}})
}

test_royalty_one_point_short_is_denied if {
	_codes == {"royalty_unpaid"} with input as _but({"order": {"royalties": [{"bps": 501, "recipient": _creator}]}})
	payout.effect == "deny" with input as _but({"order": {"royalties": [{"bps": 501, "recipient": _creator}]}})
	payout.approvals == 0 with input as _but({"order": {"royalties": [{"bps": 501, "recipient": _creator}]}})
}

test_royalty_of_absent_recipient_is_denied if {
	_codes == {"royalty_unpaid"} with input as _but({"order": {"royalties": [{"bps": 1, "recipient": "other"}]}})
	payout.effect == "deny" with input as _but({"order": {"royalties": [{"bps": 1, "recipient": "other"}]}})
	payout.approvals == 0 with input as _but({"order": {"royalties": [{"bps": 1, "recipient": "other"}]}})
}

test_royalty_more_than_paid_is_allowed if {
	payout.violation == set() with input as _but({"order": {"royalties": [{"bps": 499, "recipient": _creator}]}})
	payout.effect == "allow" with input as _but({"order": {"royalties": [{"bps": 499, "recipient": _creator}]}})
}

test_order_without_royalties_is_allowed if {
	payout.violation == set() with input as _but({"order": {"royalties": []}})
	payout.effect == "allow" with input as _but({"order": {"royalties": []}})
}

test_every_royalty_is_owed if {
	_codes == {"royalty_unpaid"} with input as _but({"order": {"royalties": [{"bps": 500, "recipient": _creator}, {"bps": 9501, "recipient": _seller}]}})
	payout.effect == "deny" with input as _but({"order": {"royalties": [{"bps": 500, "recipient": _creator}, {"bps": 9501, "recipient": _seller}]}})
	payout.approvals == 0 with input as _but({"order": {"royalties": [{"bps": 500, "recipient": _creator}, {"bps": 9501, "recipient": _seller}]}})
}

test_payout_without_line_items_is_allowed if {
	payout.violation == set() with input as _but({"line_items": []})
	payout.effect == "allow" with input as _but({"line_items": []})
}

test_line_items_below_the_total_are_denied if {
	_codes == {"line_items_sum"} with input as _but({"line_items": [{"amount": 99999999, "description": "Licence"}]})
	payout.effect == "deny" with input as _but({"line_items": [{"amount": 99999999, "description": "Licence"}]})
	payout.approvals == 0 with input as _but({"line_items": [{"amount": 99999999, "description": "Licence"}]})
}

test_line_items_above_the_total_are_denied if {
	_codes == {"line_items_sum"} with input as _but({"line_items": [{"amount": 100000001, "description": "Licence"}]})
	payout.effect == "deny" with input as _but({"line_items": [{"amount": 100000001, "description": "Licence"}]})
	payout.approvals == 0 with input as _but({"line_items": [{"amount": 100000001, "description": "Licence"}]})
}
