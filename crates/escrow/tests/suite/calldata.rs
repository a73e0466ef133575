use crate::quorum::{Quorum, chain_amount, random_authorisation};
use alloy_primitives::{Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use domain::{Address, Digest, PayoutAuthorisation};
use escrow::abi::Escrow;
use escrow::{DecodeError, PayoutExecuted, Signature, decode_payout_calldata, payout_calldata, read};
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
