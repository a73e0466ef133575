use crate::quorum::{Quorum, chain_amount, random_authorisation};
use alloy_primitives::{Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use domain::{Address, AdministrationAuthorisation, ContractMeasure, Digest, PayoutAuthorisation, Time};
use escrow::abi::Escrow;
use escrow::{
    CapChange, DecodeError, Thaw, administration_calldata, administration_digest, decode_administration_calldata,
};
use escrow::{PayoutExecuted, Signature, decode_payout_calldata, payout_calldata, read};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use std::sync::LazyLock;

static SIGNATURE: LazyLock<Signature> = LazyLock::new(|| {
    let mut rng = StdRng::seed_from_u64(1);
    Quorum::deal(&mut rng).sign_escrow(&[7; 32], &mut rng)
});

fn authorisation(seed: u64) -> PayoutAuthorisation {
    random_authorisation(&mut StdRng::seed_from_u64(seed))
}

fn decode(a: &PayoutAuthorisation, calldata: &[u8]) -> Result<(PayoutAuthorisation, Signature), DecodeError> {
    decode_payout_calldata(a.domain, calldata)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn payout_calldata_round_trips(seed: u64) {
        let a = authorisation(seed);
        let (back, signature) = decode(&a, &payout_calldata(&a, &SIGNATURE)).unwrap();
        prop_assert_eq!(back, a);
        prop_assert_eq!(signature, *SIGNATURE);
    }

    #[test]
    fn one_changed_byte_never_decodes_to_the_same(seed: u64, at: prop::sample::Index, flip in 1..=255_u8) {
        let a = authorisation(seed);
        let mut calldata = payout_calldata(&a, &SIGNATURE);
        let at = at.index(calldata.len());
        calldata[at] ^= flip;
        if let Ok((back, signature)) = decode(&a, &calldata) {
            prop_assert_ne!((back, signature), (a, *SIGNATURE));
        }
    }

    #[test]
    fn noise_does_not_decode(noise: Vec<u8>) {
        prop_assert!(decode(&authorisation(0), &noise).is_err());
    }

    #[test]
    fn every_field_is_in_the_digest(seed: u64) {
        let a = authorisation(seed);
        let other = authorisation(seed.wrapping_add(1));
        let variants = [
            PayoutAuthorisation { domain: other.domain, ..a.clone() },
            PayoutAuthorisation { intent: other.intent, ..a.clone() },
            PayoutAuthorisation { installation: other.installation, ..a.clone() },
            PayoutAuthorisation { order: other.order, ..a.clone() },
            PayoutAuthorisation { asset: Address([0xAA; 20]), ..a.clone() },
            PayoutAuthorisation { recipients: other.recipients.clone(), ..a.clone() },
            PayoutAuthorisation { amounts: vec![chain_amount(u128::MAX)], ..a.clone() },
            PayoutAuthorisation { valid_until: other.valid_until, ..a.clone() },
            PayoutAuthorisation { epoch: other.epoch, ..a.clone() },
        ];
        for variant in variants {
            prop_assert_ne!(escrow::payout_digest(&variant), escrow::payout_digest(&a));
        }
    }
}

/// A thaw and a change of a cap that differ in nothing else.
fn administrations() -> [AdministrationAuthorisation; 2] {
    let domain = authorisation(0).domain;
    let (guardian, asset, cap) = (Address([7; 20]), Address([8; 20]), chain_amount(5_000_000));
    [ContractMeasure::Thaw { guardian }, ContractMeasure::SetCap { asset, cap }].map(|measure| {
        AdministrationAuthorisation { domain, measure, nonce: 3, valid_until: Time::from_unix(1_800_000_000), epoch: 2 }
    })
}

#[test]
fn an_administration_is_the_contracts_struct_of_its_measure() {
    let [lift, change] = administrations();
    let (nonce, valid_until, epoch) = (3, Time::from_unix(1_800_000_000), 2);
    let thaw = Thaw { guardian: Address([7; 20]), nonce, valid_until, epoch };
    let cap = CapChange { asset: Address([8; 20]), cap: chain_amount(5_000_000), nonce, valid_until, epoch };
    assert_eq!(administration_digest(&lift), escrow::thaw_digest(&lift.domain, &thaw));
    assert_eq!(administration_digest(&change), escrow::set_cap_digest(&change.domain, &cap));
    assert_eq!(administration_calldata(&lift, &SIGNATURE), escrow::thaw_calldata(&thaw, &SIGNATURE));
    assert_eq!(administration_calldata(&change, &SIGNATURE), escrow::set_cap_calldata(&cap, &SIGNATURE));
}

#[test]
fn administrations_round_trip_and_nothing_else_is_one() {
    for a in administrations() {
        let calldata = administration_calldata(&a, &SIGNATURE);
        assert_eq!(decode_administration_calldata(a.domain, &calldata).unwrap(), (a, *SIGNATURE));
        assert!(decode_administration_calldata(a.domain, &[calldata.as_slice(), &[0]].concat()).is_err());
        assert!(decode_administration_calldata(a.domain, calldata.get(..calldata.len() - 1).unwrap()).is_err());
    }
    let payout = payout_calldata(&authorisation(0), &SIGNATURE);
    assert!(decode_administration_calldata(authorisation(0).domain, &payout).is_err());
}

#[test]
fn every_field_of_an_administration_is_in_its_digest() {
    let [a, change] = administrations();
    let variants = [
        change,
        AdministrationAuthorisation { domain: authorisation(1).domain, ..a },
        AdministrationAuthorisation { measure: ContractMeasure::Thaw { guardian: Address([9; 20]) }, ..a },
        AdministrationAuthorisation { nonce: 4, ..a },
        AdministrationAuthorisation { valid_until: a.valid_until.plus(1), ..a },
        AdministrationAuthorisation { epoch: 3, ..a },
    ];
    for variant in variants {
        assert_ne!(administration_digest(&variant), administration_digest(&a), "{variant:?}");
    }
}

#[test]
fn calldata_with_bytes_left_over_is_refused() {
    let a = authorisation(1);
    let mut calldata = payout_calldata(&a, &SIGNATURE);
    calldata.push(0);
    assert!(matches!(decode(&a, &calldata), Err(DecodeError::NonCanonical(_) | DecodeError::Abi(..))));
}

#[test]
fn calldata_with_an_amount_above_128_bits_is_refused() {
    let a = authorisation(1);
    let mut calldata = payout_calldata(&a, &SIGNATURE);
    // The last word is the last amount; its upper half is zero.
    let upper = calldata.len() - 17;
    calldata[upper] = 1;
    assert!(matches!(decode(&a, &calldata), Err(DecodeError::Amount)));
}

#[test]
fn calldata_with_a_point_off_the_curve_is_refused() {
    let a = authorisation(1);
    let mut calldata = payout_calldata(&a, &SIGNATURE);
    // R's y coordinate ends here; the parity stays and the point does not.
    calldata[4 + 32 + 62] ^= 1;
    assert!(matches!(decode(&a, &calldata), Err(DecodeError::Curve(_))));
}

#[test]
fn event_is_read_from_topics_and_data() {
    let topic = keccak256("PayoutExecuted(bytes32,bytes32,bytes32,address,uint256)").0;
    assert_eq!(escrow::PAYOUT_EXECUTED_TOPIC, topic);
    let mut data = [0; 64];
    data[12..32].fill(9);
    data[63] = 7;
    let topics = [topic, [1; 32], [2; 32], [3; 32]];
    let event = PayoutExecuted::decode(&topics, &data).unwrap();
    let expected = PayoutExecuted {
        intent: Digest::from_bytes([1; 32]),
        installation: Digest::from_bytes([2; 32]),
        order: Digest::from_bytes([3; 32]),
        asset: Address([9; 20]),
        total: chain_amount(7),
    };
    assert_eq!(event, expected);

    let refused = |topics: &[[u8; 32]], data: &[u8]| PayoutExecuted::decode(topics, data).unwrap_err();
    assert!(matches!(refused(&topics[..3], &data), DecodeError::Topic(_)));
    assert!(matches!(refused(&[[0; 32], [1; 32], [2; 32], [3; 32]], &data), DecodeError::Topic(_)));
    assert!(matches!(refused(&topics, &data[..63]), DecodeError::Abi(..)));
    assert!(matches!(
        refused(&topics, &[&data[..], &[0; 32]].concat()),
        DecodeError::NonCanonical(_) | DecodeError::Abi(..)
    ));
    data[0] = 1;
    assert!(matches!(refused(&topics, &data), DecodeError::Abi(..)));
    data[0] = 0;
    data[40] = 1;
    assert!(matches!(refused(&topics, &data), DecodeError::Amount));
}

#[test]
fn executed_takes_exactly_a_bool() {
    assert_eq!(read::executed_calldata(&Digest::from_bytes([5; 32])).len(), 36);
    let word = |last| {
        let mut w = [0; 32];
        w[31] = last;
        w
    };
    assert!(!read::executed(&word(0)).unwrap());
    assert!(read::executed(&word(1)).unwrap());
    assert!(read::executed(&word(2)).is_err());
    assert!(read::executed(&[]).is_err(), "an address without code returns nothing");
}

#[test]
fn views_are_read_from_what_they_return() {
    let key = Quorum::deal(&mut StdRng::seed_from_u64(4)).key();
    let returned = |bytes: &[u8]| Escrow::verifyingKeyCall::abi_encode_returns(&Bytes::copy_from_slice(bytes));
    assert_eq!(read::verifying_key(&returned(&key.to_sec1())).unwrap(), key);
    assert!(matches!(read::verifying_key(&returned(&[2; 32])), Err(DecodeError::NonCanonical(_))));
    assert!(matches!(read::verifying_key(&returned(&[0; 33])), Err(DecodeError::Curve(_))));

    let words = |values: &[U256]| values.iter().flat_map(U256::to_be_bytes::<32>).collect::<Vec<u8>>();
    let (five, huge) = (U256::from(5), U256::MAX);
    assert_eq!(read::balance(&words(&[five])).unwrap(), chain_amount(5));
    assert!(matches!(read::balance(&words(&[huge])), Err(DecodeError::Amount)));
    assert_eq!(read::cap(&words(&[U256::from(9), five])).unwrap(), (chain_amount(9), chain_amount(5)));
    assert!(matches!(read::cap(&words(&[five])), Err(DecodeError::Abi(..))));
    assert_eq!(read::epoch(&words(&[five])).unwrap(), 5);
    assert_eq!(read::nonce(&words(&[five])).unwrap(), 5);
    assert!(read::epoch(&words(&[huge])).is_err(), "does not fit 64 bits");
    assert!(!read::frozen(&words(&[U256::ZERO])).unwrap());
    assert_eq!(escrow::token::balance(&words(&[five])).unwrap(), chain_amount(5));
}
