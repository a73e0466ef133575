use alloy_primitives::hex;

/// The bytes of a committed file of hex digits. Evaluated by the compiler, so a damaged file does not build.
#[expect(clippy::panic, reason = "fails the build, never a run")]
const fn decode<const N: usize>(text: &[u8]) -> [u8; N] {
    match hex::const_decode_to_array(text) {
        Ok(bytes) => bytes,
        Err(_) => panic!("not hex digits of the expected length"),
    }
}

const ESCROW_HEX: &[u8] = include_bytes!("../../../contracts/artifacts/Escrow.hex");
const TOKEN_HEX: &[u8] = include_bytes!("../../../contracts/artifacts/TestUSDC.hex");

/// Creation code of the escrow contract.
pub(crate) static ESCROW: [u8; ESCROW_HEX.len() / 2] = decode(ESCROW_HEX);
/// Creation code of the test token.
pub(crate) static TOKEN: [u8; TOKEN_HEX.len() / 2] = decode(TOKEN_HEX);
