use crate::{hash, signing_key};
use domain::{Did, Time};
use ed25519_dalek::{Signer, SigningKey};
use log::{
    Checkpoint, Hash, KeyName, MAX_NOTE_BYTES, Note, NoteError, NoteKey, ParseCheckpointError, ParseKeyError, Tree,
    VerifyError,
};

const ROOT: &str = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";

pub fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

pub fn note_key(text: &str, key: &SigningKey) -> NoteKey {
    NoteKey::new(name(text), &Did::from_key(key.verifying_key().to_bytes())).unwrap()
}

pub fn checkpoint() -> Checkpoint {
    Checkpoint { origin: name("log.example/1"), size: 8, root: hash(ROOT), time: Time::from_unix(1_700_000_000) }
}

/// Signed by the log and by a quorum.
pub fn note() -> (Note, NoteKey, NoteKey) {
    let (log, quorum) = (signing_key(1), signing_key(2));
    let key = note_key("log.example/1/quorum", &quorum);
    let signature = quorum.sign(&checkpoint().signed_text()).to_bytes();
    let note = checkpoint().sign(&log).with_signature(&key, &signature).unwrap();
    (note, note_key("log.example/1", &log), key)
}

#[test]
fn the_signed_text_is_literal() {
    let text = "log.example/1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\ntime 1700000000\n";
    assert_eq!(checkpoint().signed_text(), text.as_bytes());
    assert_eq!(Checkpoint::parse(text), Ok(checkpoint()));
}

#[test]
fn the_note_is_literal() {
    let note = checkpoint().sign(&signing_key(1)).to_string();
    assert_eq!(note, include_str!("note.txt"));
}

#[test]
fn a_note_reads_back_and_tells_who_signed_it() {
    let (note, log, quorum) = note();
    let parsed = Note::parse(&note.to_string()).unwrap();
    assert_eq!(parsed, note);
    let verified = parsed.verify(&name("log.example/1"), &[quorum.clone(), log.clone()]).unwrap();
    assert_eq!(verified.signers(), [log.clone(), quorum.clone()]);
    assert_eq!(*verified, checkpoint());
    let verified = parsed.verify(&name("log.example/1"), std::slice::from_ref(&log)).unwrap();
    assert!(verified.signed_by(&log) && !verified.signed_by(&quorum));
}

#[test]
fn a_note_of_another_log_or_without_a_known_signer_is_refused() {
    let (note, log, _) = note();
    let other = note.verify(&name("log.example/2"), std::slice::from_ref(&log));
    assert!(matches!(other, Err(VerifyError::Origin { .. })));
    assert_eq!(note.verify(&name("log.example/1"), &[]), Err(VerifyError::Unsigned));
    let stranger = note_key("log.example/1", &signing_key(9));
    assert_eq!(note.verify(&name("log.example/1"), &[stranger]), Err(VerifyError::Unsigned));
}

#[test]
fn a_changed_text_or_signature_of_a_known_key_spoils_the_note() {
    let (note, log, quorum) = note();
    let text = note.to_string();
    for (from, to) in [("\n8\n", "\n9\n"), ("XcnaeacG", "XcnaeacH"), ("time 1700000000", "time 1700000001")] {
        let changed = Note::parse(&text.replace(from, to)).unwrap();
        assert!(matches!(
            changed.verify(&name("log.example/1"), std::slice::from_ref(&log)),
            Err(VerifyError::Invalid { .. })
        ));
    }
    // The log's line is good, the quorum's is the log's relabelled.
    let mut bytes = quorum.hash().to_vec();
    bytes.extend(signing_key(1).sign(&checkpoint().signed_text()).to_bytes());
    let own = checkpoint().sign(&signing_key(1)).to_string();
    let relabelled = format!("{own}— log.example/1/quorum {}\n", base64(&bytes));
    let relabelled = Note::parse(&relabelled).unwrap();
    assert!(relabelled.verify(&name("log.example/1"), std::slice::from_ref(&log)).is_ok());
    assert_eq!(
        relabelled.verify(&name("log.example/1"), &[log, quorum.clone()]),
        Err(VerifyError::Invalid { key: quorum })
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Two keys whose 4-byte hashes under this name are equal, found by search.
#[test]
fn known_keys_that_a_line_cannot_tell_apart_refuse_the_note() {
    let seeded = |seed: u32| SigningKey::from_bytes(seed.to_le_bytes().repeat(8).as_slice().try_into().unwrap());
    let (one, two) = (note_key("log.example/1", &seeded(6901)), note_key("log.example/1", &seeded(101_889)));
    assert_eq!((one.hash(), two.hash()), ([0xa1, 0xf4, 0x6e, 0xc3], [0xa1, 0xf4, 0x6e, 0xc3]));
    let note = checkpoint().sign(&seeded(6901));
    assert!(note.verify(&name("log.example/1"), &[one.clone(), one.clone()]).is_ok());
    assert!(matches!(note.verify(&name("log.example/1"), &[one, two.clone()]), Err(VerifyError::Ambiguous { .. })));
    // Alone, the wrong one of the two is no signer.
    assert!(matches!(note.verify(&name("log.example/1"), &[two]), Err(VerifyError::Invalid { .. })));
}

#[test]
fn only_a_valid_signature_can_be_added_and_only_once() {
    let (note, _, quorum) = note();
    let good = signing_key(2).sign(&checkpoint().signed_text()).to_bytes();
    assert_eq!(note.clone().with_signature(&quorum, &good), Err(NoteError::Duplicate));
    let mut bad = good;
    bad[0] ^= 1;
    assert_eq!(checkpoint().sign(&signing_key(1)).with_signature(&quorum, &bad), Err(NoteError::Invalid));
    let wrong_key = note_key("other", &signing_key(3));
    assert_eq!(note.with_signature(&wrong_key, &good), Err(NoteError::Invalid));
}

#[test]
fn lines_of_unknown_keys_and_kinds_are_kept_and_ignored() {
    let (note, log, _) = note();
    let text = format!("{note}— witness.example {}\n", base64(&[9; 4 + 8 + 64]));
    let parsed = Note::parse(&text).unwrap();
    assert_eq!(parsed.to_string(), text);
    assert!(parsed.verify(&name("log.example/1"), &[log]).is_ok());
}

#[test]
fn of_all_lines_only_that_of_the_logs_own_key_is_passed_on() {
    let (note, log, quorum) = note();
    let own = checkpoint().sign(&signing_key(1)).to_string();
    // The quorum's line, one that pretends to be the quorum's, and one that is very long.
    let false_line = format!("— log.example/1/other {}", base64(&[quorum.hash().as_slice(), &[0; 64]].concat()));
    let text = format!("{note}{false_line}\n— witness.example {}\n", base64(&[9; 5_000]));
    let signed = Note::parse(&text).unwrap().signed_by_log(&log).unwrap();
    assert_eq!((signed.note(), signed.checkpoint()), (own.as_str(), &checkpoint()));
    // Of another log, though the same key has signed it; of no log's key; and with a line that is not the key's.
    let renamed = note_key("log.example/2", &signing_key(1));
    assert!(matches!(Note::parse(&text).unwrap().signed_by_log(&renamed), Err(VerifyError::Origin { .. })));
    let stranger = note_key("log.example/1", &signing_key(9));
    assert_eq!(Note::parse(&text).unwrap().signed_by_log(&stranger), Err(VerifyError::Unsigned));
    let forged = Note::parse(&own.replace("\n8\n", "\n9\n")).unwrap();
    assert!(matches!(forged.signed_by_log(&log), Err(VerifyError::Invalid { .. })));
}

#[test]
fn a_note_with_the_logs_line_alone_is_short() {
    let (longest, end) = (name(&"x".repeat(255)), Time::from_unix(u64::MAX));
    let checkpoint = Checkpoint { origin: longest.clone(), size: u64::MAX, root: hash(ROOT), time: end };
    let key = note_key(longest.as_str(), &signing_key(1));
    let signed = checkpoint.sign(&signing_key(1)).signed_by_log(&key).unwrap();
    assert_eq!(signed.note().len(), 702);
}

#[test]
fn malformed_notes_are_refused() {
    let text = note().0.to_string();
    let own = checkpoint().sign(&signing_key(1)).to_string();
    let (head, line) = own.split_once("\n\n").unwrap();
    let b64 = line.trim_end().rsplit(' ').next().unwrap();
    let expect = |text: &str, error: NoteError| assert_eq!(Note::parse(text), Err(error), "{text}");
    expect("", NoteError::Format);
    expect(head, NoteError::Format);
    expect(&format!("{head}\n\n"), NoteError::Format);
    expect(text.trim_end(), NoteError::Format);
    expect(&format!("{own}{line}"), NoteError::Duplicate);
    expect(&format!("{own}\n"), NoteError::Checkpoint(ParseCheckpointError::Lines));
    expect(&own.replace('—', "-"), NoteError::Signature { line: 0 });
    expect(&own.replace("— log", "—  log"), NoteError::Signature { line: 0 });
    expect(&own.replace("— log", "— l+g"), NoteError::Signature { line: 0 });
    expect(&own.replace(b64, "AAAA"), NoteError::Signature { line: 0 });
    expect(&own.replace(b64, ""), NoteError::Signature { line: 0 });
    expect(&own.replace(b64, &format!("{b64} ")), NoteError::Signature { line: 0 });
    expect(&own.replace(b64, b64.trim_end_matches('=')), NoteError::Signature { line: 0 });
    expect(&own.replace('\n', "\r\n"), NoteError::Format);
    // The last character before the padding has unused bits: set, they spell the same bytes.
    let stem = b64.trim_end_matches('=');
    let (rest, last) = stem.split_at(stem.len() - 1);
    let bumped = char::from(last.as_bytes()[0] + 1);
    let non_canonical = format!("{rest}{bumped}{}", &b64[stem.len()..]);
    assert!(b64.ends_with('='));
    expect(&own.replace(b64, &non_canonical), NoteError::Signature { line: 0 });
    let many: Vec<_> = (0..101_u8).map(|i| format!("— w{i} {}\n", base64(&[i; 68]))).collect();
    assert!(Note::parse(&format!("{head}\n\n{}", many[..100].concat())).is_ok());
    expect(&format!("{head}\n\n{}", many.concat()), NoteError::Count);
    expect(&"x".repeat(MAX_NOTE_BYTES + 1), NoteError::TooLarge);
    for end in (0..text.len()).filter(|i| text.is_char_boundary(*i)) {
        let cut = Note::parse(&text[..end]);
        assert!(cut.is_err() || cut.unwrap().to_string() == own, "cut at {end}");
    }
}

#[test]
fn other_spellings_of_a_checkpoint_are_refused() {
    let good = String::from_utf8(checkpoint().signed_text()).unwrap();
    for (from, to, error) in [
        ("log.example/1\n", "\n", ParseCheckpointError::Origin),
        ("log.example/1\n", "log example\n", ParseCheckpointError::Origin),
        ("\n8\n", "\n08\n", ParseCheckpointError::Size),
        ("\n8\n", "\n+8\n", ParseCheckpointError::Size),
        ("\n8\n", "\n-8\n", ParseCheckpointError::Size),
        ("\n8\n", "\n\n", ParseCheckpointError::Size),
        ("\n8\n", "\n18446744073709551616\n", ParseCheckpointError::Size),
        ("\n8\n", "\n0\n", ParseCheckpointError::Root),
        ("Qyg=", "Qyh=", ParseCheckpointError::Root),
        ("Qyg=", "Qyg", ParseCheckpointError::Root),
        ("Xcna", "", ParseCheckpointError::Root),
        ("time 17", "time 017", ParseCheckpointError::Time),
        ("time 17", "TIME 17", ParseCheckpointError::Time),
        ("time 17", "17", ParseCheckpointError::Time),
        ("time 1700000000\n", "", ParseCheckpointError::Lines),
        ("time 1700000000\n", "time 1700000000\ntime 2\n", ParseCheckpointError::Lines),
        ("time 1700000000\n", "time 1700000000", ParseCheckpointError::Lines),
        ("time 1700000000\n", "time 1700000000\n\n", ParseCheckpointError::Lines),
    ] {
        assert_eq!(Checkpoint::parse(&good.replacen(from, to, 1)), Err(error), "{from:?} -> {to:?}");
    }
    let empty = Checkpoint::of(name("o"), &Tree::new(), Time::ZERO);
    assert_eq!(Checkpoint::parse(&String::from_utf8(empty.signed_text()).unwrap()).unwrap().root, Hash::empty_root());
}

#[test]
fn verifier_keys_read_back_and_other_spellings_are_refused() {
    let key = note_key("log.example/1", &signing_key(1));
    let text = key.to_string();
    assert_eq!(text.parse(), Ok(key.clone()));
    let (_, hash, b64) = {
        let mut p = text.split('+');
        (p.next().unwrap(), p.next().unwrap(), p.collect::<Vec<_>>().join("+"))
    };
    let parse = |t: &str| t.parse::<NoteKey>();
    assert_eq!(parse(&format!("log.example/2+{hash}+{b64}")), Err(ParseKeyError::Hash));
    assert_eq!(parse(&format!("log.example/1+00000000+{b64}")), Err(ParseKeyError::Hash));
    assert_eq!(parse(&format!("log.example/1+{hash}0+{b64}")), Err(ParseKeyError::Format));
    assert_eq!(parse(&format!("log.example/1+{hash}+{b64}=")), Err(ParseKeyError::Format));
    assert_eq!(parse(&format!("log.example/1+{hash}")), Err(ParseKeyError::Format));
    assert_eq!(parse(&format!("+{hash}+{b64}")), Err(ParseKeyError::Name));
    assert_eq!(parse(&format!("log.example/1+{hash}+{}", base64(&[4; 33]))), Err(ParseKeyError::Kind));
    assert_eq!(parse(&format!("log.example/1+{hash}+{}", base64(&[1; 32]))), Err(ParseKeyError::Format));
    for bad in ["", "a b", "a+b", "a\nb", "a\u{3000}b", "a\u{7f}"] {
        assert_eq!(bad.parse::<KeyName>(), Err(ParseKeyError::Name), "{bad:?}");
    }
    assert!("n".repeat(255).parse::<KeyName>().is_ok());
    assert_eq!("n".repeat(256).parse::<KeyName>(), Err(ParseKeyError::Name));
}

#[test]
fn keys_that_sign_anything_are_refused() {
    // The neutral element: a point of order one.
    let mut identity = [0; 32];
    identity[0] = 1;
    assert_eq!(NoteKey::new(name("x"), &Did::from_key(identity)), Err(ParseKeyError::Point));
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    assert_eq!(NoteKey::new(name("x"), &Did::from_key(off_curve)), Err(ParseKeyError::Point));
}
