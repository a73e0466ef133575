use crate::{entries, note};
use log::export::{ExportError, MAX_LINE_BYTES, MAX_TOKENS, Reader, Record, Writer};
use std::io::{BufReader, Read};

fn records() -> Vec<Record> {
    let mut all: Vec<_> = entries(3)
        .into_iter()
        .map(|entry| Record::Entry { tokens: vec![entry[..3].to_vec(), vec![]], entry })
        .collect();
    all.push(Record::Checkpoint(note::note().0));
    all
}

fn write(records: &[Record]) -> String {
    let mut writer = Writer::new(Vec::new(), &note::name("log.example/1")).unwrap();
    for record in records {
        writer.write(record).unwrap();
    }
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn read(text: &str) -> Result<Vec<Record>, ExportError> {
    Reader::new(text.as_bytes())?.collect()
}

#[test]
fn lines_are_literal() {
    let records = [
        Record::Entry { entry: b"entry".to_vec(), tokens: vec![b"token".to_vec(), b"t".to_vec()] },
        Record::Entry { entry: b"e".to_vec(), tokens: vec![] },
    ];
    assert_eq!(
        write(&records),
        "{\"countersign-export\":1,\"origin\":\"log.example/1\"}\n\
         {\"entry\":\"ZW50cnk=\",\"tokens\":[\"dG9rZW4=\",\"dA==\"]}\n\
         {\"entry\":\"ZQ==\",\"tokens\":[]}\n"
    );
    let text = write(&[Record::Checkpoint(note::checkpoint().sign(&crate::signing_key(1)))]);
    assert!(text.lines().nth(1).unwrap().starts_with("{\"checkpoint\":\"log.example/1\\n8\\n"));
}

#[test]
fn an_export_reads_back() {
    let text = write(&records());
    assert_eq!(read(&text).unwrap(), records());
    assert_eq!(Reader::new(text.as_bytes()).unwrap().origin(), &note::name("log.example/1"));
    assert_eq!(read(&write(&[])).unwrap(), []);
}

#[test]
fn damage_is_refused_with_its_line() {
    let text = write(&records());
    let bad = |from: &str, to: &str| read(&text.replacen(from, to, 1)).unwrap_err();
    assert!(matches!(bad("export\":1", "export\":2"), ExportError::Version { found: 2 }));
    assert!(matches!(bad("log.example/1\"}", "a b\"}"), ExportError::Malformed { line: 1, .. }));
    assert!(matches!(bad("\"entry\"", "\"entri\""), ExportError::Malformed { line: 2, .. }));
    assert!(matches!(bad("\"tokens\"", "\"x\":1,\"tokens\""), ExportError::Malformed { line: 2, .. }));
    assert!(matches!(bad("\"entry\":\"", "\"entry\":\"*"), ExportError::Malformed { line: 2, .. }));
    assert!(matches!(bad("time 1", "time x1"), ExportError::Note { line: 5, .. }));
    assert!(matches!(read("").unwrap_err(), ExportError::Malformed { line: 1, .. }));
    assert!(matches!(read(text.trim_end()).unwrap_err(), ExportError::Truncated { line: 5 }));
    assert!(matches!(read(&format!("{text}\n")).unwrap_err(), ExportError::Malformed { line: 6, .. }));
    let second = text.split_inclusive('\n').nth(1).unwrap();
    assert!(matches!(read(second).unwrap_err(), ExportError::Malformed { line: 1, .. }));
}

#[test]
fn reading_ends_after_the_first_error() {
    let text = write(&[]) + "garbage\n{\"entry\":\"\",\"tokens\":[]}\n";
    assert_eq!(Reader::new(text.as_bytes()).unwrap().count(), 1);
}

#[test]
fn sizes_are_bounded_both_ways() {
    let entry = |entry: usize, tokens: Vec<Vec<u8>>| Record::Entry { entry: vec![0; entry], tokens };
    for record in [entry(65_536, vec![]), entry(1, vec![vec![]; MAX_TOKENS + 1]), entry(1, vec![vec![0; 65_537]])] {
        let mut writer = Writer::new(Vec::new(), &note::name("o")).unwrap();
        assert!(matches!(writer.write(&record), Err(ExportError::Limit { line: 2, .. })));
    }
    let largest = entry(65_535, vec![vec![0; 65_536]; MAX_TOKENS]);
    assert_eq!(read(&write(std::slice::from_ref(&largest))).unwrap(), [largest]);
    let many = format!("{}{{\"entry\":\"\",\"tokens\":[{}\"\"]}}\n", write(&[]), "\"\",".repeat(MAX_TOKENS));
    assert!(matches!(read(&many).unwrap_err(), ExportError::Limit { line: 2, .. }));
    // A line that never ends is given up at the limit, not read into memory.
    let header = write(&[]);
    let endless = BufReader::new(header.as_bytes().chain(std::io::repeat(b' ')));
    let error = Reader::new(endless).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, ExportError::LineTooLong { line: 2 }));
    assert!(largest_line() < MAX_LINE_BYTES);
}

fn largest_line() -> u64 {
    (64 + 1) * (65_536_u64.div_ceil(3) * 4 + 3) + 64
}
