//! Sealing of second-round packages to one participant: X25519 between a fresh key of the sender and the recipient's
//! key of this ceremony, HKDF-SHA-256, XChaCha20-Poly1305. Both keys are forgotten with the ceremony.

use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use domain::Digest;
use hkdf::Hkdf;
use rand_core::OsRng;
use sha2::Sha256;
use x25519_dalek::{EphemeralSecret, PublicKey, StaticSecret};
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"countersign dkg seal v1";
const KEY: usize = 32;

/// From whom to whom, in which ceremony: part of the key, so that a package opens nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub ceremony: Digest,
    pub from: u16,
    pub to: u16,
}

/// Seals `plain` to `recipient`; `None` when the recipient's key is of small order.
pub(crate) fn seal(plain: &[u8], recipient: &[u8; KEY], route: Route) -> Option<Vec<u8>> {
    let secret = EphemeralSecret::random_from_rng(OsRng);
    let own = PublicKey::from(&secret);
    let shared = secret.diffie_hellman(&PublicKey::from(*recipient));
    let cipher = cipher(shared.was_contributory().then_some(shared.as_bytes())?, own.as_bytes(), recipient, route)?;
    let mut sealed = own.as_bytes().to_vec();
    sealed.extend(cipher.encrypt(&XNonce::default(), plain).ok()?);
    Some(sealed)
}

/// Opens what was sealed to `secret`; `None` when it was not, or was altered.
pub(crate) fn open(sealed: &[u8], secret: &StaticSecret, route: Route) -> Option<Zeroizing<Vec<u8>>> {
    let (sender, text) = sealed.split_at_checked(KEY)?;
    let sender: [u8; KEY] = sender.try_into().ok()?;
    let shared = secret.diffie_hellman(&PublicKey::from(sender));
    let own = PublicKey::from(secret);
    let cipher = cipher(shared.was_contributory().then_some(shared.as_bytes())?, &sender, own.as_bytes(), route)?;
    cipher.decrypt(&XNonce::default(), text).ok().map(Zeroizing::new)
}

/// The key is used once, for one package, so a constant nonce is sound.
fn cipher(shared: &[u8; KEY], sender: &[u8; KEY], recipient: &[u8; KEY], route: Route) -> Option<XChaCha20Poly1305> {
    let (from, to) = (route.from.to_be_bytes(), route.to.to_be_bytes());
    let info = [CONTEXT, route.ceremony.as_bytes(), &from, &to, sender, recipient].concat();
    let mut key = Zeroizing::new([0; KEY]);
    Hkdf::<Sha256>::new(None, shared).expand(&info, key.as_mut()).ok()?;
    Some(XChaCha20Poly1305::new((&*key).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_opens_for_its_recipient_on_its_route_only() {
        let route = Route { ceremony: Digest::from_bytes([7; 32]), from: 1, to: 2 };
        let (secret, other) = (StaticSecret::random_from_rng(OsRng), StaticSecret::random_from_rng(OsRng));
        let sealed = seal(b"share", PublicKey::from(&secret).as_bytes(), route).unwrap();
        assert_eq!(open(&sealed, &secret, route).unwrap().as_slice(), b"share");
        assert!(open(&sealed, &other, route).is_none());
        assert!(open(&sealed, &secret, Route { to: 3, ..route }).is_none());
        assert!(open(&sealed, &secret, Route { from: 3, ..route }).is_none());
        let elsewhere = Route { ceremony: Digest::from_bytes([8; 32]), ..route };
        assert!(open(&sealed, &secret, elsewhere).is_none());
        for i in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[i] ^= 1;
            assert!(open(&altered, &secret, route).is_none(), "byte {i}");
        }
    }

    #[test]
    fn a_key_of_small_order_gets_nothing() {
        let route = Route { ceremony: Digest::from_bytes([7; 32]), from: 1, to: 2 };
        assert!(seal(b"share", &[0; 32], route).is_none());
    }
}
