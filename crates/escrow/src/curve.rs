use crate::abi;
use alloy_primitives::U256;
use k256::elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint};
use k256::{AffinePoint, EncodedPoint};
use std::fmt;

/// Order of secp256k1's group (SEC 2, §2.4.1).
const ORDER: U256 =
    U256::from_be_bytes(alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

/// Bytes are not a key or signature that the contract can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurveError {
    /// Not the SEC 1 compressed form of a point other than the identity.
    #[error("not a compressed point of secp256k1")]
    Point,
    /// The scalar z is zero or not below the group's order.
    #[error("z is not a scalar from 1 to n-1")]
    Scalar,
    /// The key's x coordinate is not below the group's order, so that `ecrecover` could not take it (chance 2^-128).
    #[error("the key's x coordinate is not below the group order")]
    KeyCoordinate,
}

/// A FROST(secp256k1, SHA-256) group key as the contract takes it: affine coordinates, checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GroupKey {
    px: U256,
    py: U256,
}

/// A FROST(secp256k1, SHA-256) group signature as the contract takes it: R in affine coordinates, and z.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    rx: U256,
    ry: U256,
    z: U256,
}

fn decompress(bytes: &[u8]) -> Result<(U256, U256), CurveError> {
    // The decoder below also takes longer forms and the x-only form with tag 5.
    if bytes.len() != 33 || !matches!(bytes.first(), Some(2 | 3)) {
        return Err(CurveError::Point);
    }
    let encoded = EncodedPoint::from_bytes(bytes).map_err(|_| CurveError::Point)?;
    let point: Option<AffinePoint> = AffinePoint::from_encoded_point(&encoded).into();
    let full = point.ok_or(CurveError::Point)?.to_encoded_point(false);
    match (full.x(), full.y()) {
        (Some(x), Some(y)) => Ok((U256::from_be_slice(x), U256::from_be_slice(y))),
        _ => Err(CurveError::Point),
    }
}

fn compress(x: U256, y: U256) -> [u8; 33] {
    let mut out = [0; 33];
    let (tag, rest) = out.split_at_mut(1);
    tag.fill(if y.bit(0) { 3 } else { 2 });
    rest.copy_from_slice(&x.to_be_bytes::<32>());
    out
}

impl GroupKey {
    /// From the 33 bytes of SEC 1 compressed form, as `frost_secp256k1::VerifyingKey::serialize` writes them.
    pub fn from_sec1(bytes: &[u8; 33]) -> Result<Self, CurveError> {
        let (px, py) = decompress(bytes)?;
        if px >= ORDER {
            return Err(CurveError::KeyCoordinate);
        }
        Ok(Self { px, py })
    }

    /// SEC 1 compressed form; what the contract's `verifyingKey()` returns.
    pub fn to_sec1(&self) -> [u8; 33] {
        compress(self.px, self.py)
    }

    /// Affine x coordinate, big-endian.
    pub fn x(&self) -> [u8; 32] {
        self.px.to_be_bytes()
    }

    /// Affine y coordinate, big-endian.
    pub fn y(&self) -> [u8; 32] {
        self.py.to_be_bytes()
    }

    pub(crate) const fn coordinates(&self) -> (U256, U256) {
        (self.px, self.py)
    }
}

impl Signature {
    /// From 65 bytes, R in SEC 1 compressed form and then z big-endian: RFC 9591 §6.5 `SerializeElement(R) ‖
    /// SerializeScalar(z)`, as `frost_secp256k1::Signature::serialize` writes it.
    pub fn from_frost(bytes: &[u8; 65]) -> Result<Self, CurveError> {
        let (r, z) = bytes.split_at(33);
        let (rx, ry) = decompress(r)?;
        let z = U256::from_be_slice(z);
        if z.is_zero() || z >= ORDER {
            return Err(CurveError::Scalar);
        }
        Ok(Self { rx, ry, z })
    }

    /// The 65 bytes that [`Signature::from_frost`] takes.
    pub fn to_frost(&self) -> [u8; 65] {
        let mut out = [0; 65];
        let (r, z) = out.split_at_mut(33);
        r.copy_from_slice(&compress(self.rx, self.ry));
        z.copy_from_slice(&self.z.to_be_bytes::<32>());
        out
    }

    pub(crate) fn to_abi(self) -> abi::Signature {
        abi::Signature { rx: self.rx, ry: self.ry, z: self.z }
    }

    pub(crate) fn from_abi(s: &abi::Signature) -> Result<Self, CurveError> {
        let mut bytes = [0; 65];
        let (r, z) = bytes.split_at_mut(33);
        r.copy_from_slice(&compress(s.rx, s.ry));
        z.copy_from_slice(&s.z.to_be_bytes::<32>());
        let parsed = Self::from_frost(&bytes)?;
        if parsed.ry == s.ry { Ok(parsed) } else { Err(CurveError::Point) }
    }
}

impl fmt::Debug for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupKey({})", alloy_primitives::hex::encode(self.to_sec1()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", alloy_primitives::hex::encode(self.to_frost()))
    }
}
