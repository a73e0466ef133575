use crate::quorum::Quorum;
use escrow::{CurveError, GroupKey, Signature};
use rand::{SeedableRng, rngs::StdRng};

/// Order of the group, big-endian.
const ORDER: [u8; 32] = alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

fn signature() -> [u8; 65] {
    let mut rng = StdRng::seed_from_u64(2);
    Quorum::deal(&mut rng).sign(&[1; 32], &mut rng)
}

fn with_z(z: [u8; 32]) -> Result<Signature, CurveError> {
    let mut bytes = signature();
    bytes[33..].copy_from_slice(&z);
    Signature::from_frost(&bytes)
}

#[test]
fn signature_round_trips() {
    assert_eq!(Signature::from_frost(&signature()).unwrap().to_frost(), signature());
}

#[test]
fn z_must_be_a_scalar() {
    assert_eq!(with_z([0; 32]), Err(CurveError::Scalar));
    assert_eq!(with_z(ORDER), Err(CurveError::Scalar));
    assert_eq!(with_z([0xff; 32]), Err(CurveError::Scalar));
    let mut largest = ORDER;
    largest[31] -= 1;
    assert!(with_z(largest).is_ok());
}

#[test]
fn r_must_be_a_compressed_point() {
    let refused = |change: fn(&mut [u8; 65])| {
        let mut bytes = signature();
        change(&mut bytes);
        Signature::from_frost(&bytes).unwrap_err()
    };
    assert_eq!(refused(|b| b[0] = 0), CurveError::Point);
    assert_eq!(refused(|b| b[0] = 4), CurveError::Point);
    assert_eq!(refused(|b| b[0] = 5), CurveError::Point);
    assert_eq!(refused(|b| b[1..33].fill(0xff)), CurveError::Point);
    // x = 5 is on no point: 5³ + 7 is not a square.
    assert_eq!(
        refused(|b| {
            b[1..33].fill(0);
            b[32] = 5;
        }),
        CurveError::Point
    );
}

#[test]
fn key_round_trips_and_refuses_the_identity() {
    let key = Quorum::deal(&mut StdRng::seed_from_u64(3)).key();
    assert_eq!(GroupKey::from_sec1(&key.to_sec1()), Ok(key));
    assert_eq!(GroupKey::from_sec1(&[0; 33]), Err(CurveError::Point));
}

/// The smallest x of a curve point that is at least n: a key there could not be checked by `ecrecover`.
#[test]
fn key_refuses_x_above_the_order() {
    let found = (0..=255).find_map(|offset: u8| {
        let mut bytes = [2; 33];
        bytes[1..].copy_from_slice(&ORDER);
        bytes[32] = bytes[32].checked_add(offset)?;
        match GroupKey::from_sec1(&bytes) {
            Err(CurveError::Point) => None,
            other => Some(other),
        }
    });
    assert_eq!(found, Some(Err(CurveError::KeyCoordinate)));
}
