use crate::{hex, leaves};
use log::{BundleError, TilePath, TileRef, Tree, decode_entry_bundle, encode_entry_bundle};
use proptest::prelude::*;

fn tile(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::Tile(TileRef { level, index, width })
}

#[test]
fn paths_are_those_of_the_specification() {
    for (path, text) in [
        (tile(0, 0, 256), "tile/0/000"),
        (tile(1, 5, 256), "tile/1/005"),
        (tile(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (tile(0, 1_234_067, 44), "tile/0/x001/x234/067.p/44"),
        (tile(7, 999, 255), "tile/7/999.p/255"),
        (tile(2, 1000, 1), "tile/2/x001/000.p/1"),
        (tile(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615"),
        (TilePath::Entries { index: 1_234_567, width: 256 }, "tile/entries/x001/x234/567"),
        (TilePath::Entries { index: 0, width: 1 }, "tile/entries/000.p/1"),
    ] {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
}

#[test]
fn other_spellings_of_a_path_are_refused() {
    for text in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/+0/000",
        "tile/0/+00",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/000",
        "tile/0/xx01/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "/tile/0/000",
        "tile/0/000 ",
        "tile/data/000",
        "tile/entries/1",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/../000",
        "tile/0/٠٠٠",
    ] {
        assert!(text.parse::<TilePath>().is_err(), "{text}");
    }
}

#[test]
fn a_tree_of_a_size_has_exactly_these_tiles() {
    let width = |size, level, index| TileRef::of(size, level, index).map(|t| t.width);
    assert_eq!(width(0, 0, 0), None);
    assert_eq!(width(1, 0, 0), Some(1));
    assert_eq!(width(256, 0, 0), Some(256));
    assert_eq!(width(256, 0, 1), None);
    assert_eq!(width(256, 1, 0), Some(1));
    assert_eq!(width(70_000, 0, 273), Some(112));
    assert_eq!(width(70_000, 1, 1), Some(17));
    assert_eq!(width(70_000, 2, 0), Some(1));
    assert_eq!(width(70_000, 3, 0), None);
    assert_eq!(width(u64::MAX, 7, 0), Some(255));
    assert_eq!(width(u64::MAX, 8, 0), None);
    assert_eq!(width(u64::MAX, 0, u64::MAX), None);
}

#[test]
fn tile_bytes_are_the_hashes_one_after_the_other() {
    let tree = Tree::from_leaves(leaves(2));
    let tile = tree.partial_tile(0).unwrap();
    assert_eq!(
        hex(&tile.hashes),
        "3e7077fd2f66d689e0cee6a7cf5b37bf2dca7c979af356d0a31cbc5c85605c7d\
         2ae1c19c0cbd378e46c927a9f3611923ec07cc1ae357502a09536d455275cf21"
    );
}

#[test]
fn bundle_bytes_are_literal_and_damage_is_refused() {
    let bundle = encode_entry_bundle(&[b"abc".as_slice(), b"", &[7; 258]]).unwrap();
    assert_eq!(bundle[..9], [0, 3, b'a', b'b', b'c', 0, 0, 1, 2]);
    assert_eq!(decode_entry_bundle(&bundle).unwrap(), [b"abc".as_slice(), b"", &[7; 258]]);
    assert_eq!(decode_entry_bundle(&bundle[..bundle.len() - 1]), Err(BundleError::Truncated));
    assert_eq!(decode_entry_bundle(&[0]), Err(BundleError::Truncated));
    assert_eq!(decode_entry_bundle(&[]), Err(BundleError::Count));
    assert_eq!(decode_entry_bundle(&[0; 514]), Err(BundleError::Count));
    assert_eq!(encode_entry_bundle::<&[u8]>(&[]), Err(BundleError::Count));
    assert_eq!(encode_entry_bundle(&[[0_u8; 1]; 257]), Err(BundleError::Count));
    assert_eq!(encode_entry_bundle(&[vec![0; 65_536]]), Err(BundleError::EntryTooLarge));
    assert!(encode_entry_bundle(&vec![vec![0; 65_535]; 2]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_path_reads_back(level in 0_u8..8, index in any::<u64>(), shift in 0_u32..64, width in 1_u16..=256, data in any::<bool>()) {
        let index = index >> shift;
        let path = if data { TilePath::Entries { index, width } } else { tile(level, index, width) };
        prop_assert_eq!(path.to_string().parse(), Ok(path));
    }

    #[test]
    fn any_text_that_parses_is_the_text_that_is_written(text in "tile/(entries|[0-9]{1,2})(/x?[0-9]{1,4}){1,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
