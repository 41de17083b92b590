//! Ed25519 public keys under which anybody can sign.
//!
//! For a point of small order, one signature can hold for every message, and making it
//! takes no secret. RFC 8032 leaves the check to the caller, and the library that
//! verifies for us does not make it.

/// The y coordinates, little-endian and without the sign bit, of the points whose
/// order divides 8: those of order 4, 1, 8, 8 and 2.
pub(super) const SMALL_ORDER: [[u8; 32]; 5] = [
    with_ends(0x00, 0x00, 0x00),
    with_ends(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    with_ends(0xec, 0xff, 0x7f),
];

const fn with_ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Of small order, or with a y that is not reduced: such a key has a second spelling,
/// and some of them are small-order points in disguise.
pub(super) fn is_weak(key: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(key) else {
        return true;
    };
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y) || is_not_reduced(&y)
}

/// y ≥ p, where p = 2²⁵⁵ − 19 is `ed ff … ff 7f` in this order of bytes.
fn is_not_reduced(y: &[u8; 32]) -> bool {
    y[0] >= 0xed && y[1..31].iter().all(|byte| *byte == 0xff) && y[31] == 0x7f
}
