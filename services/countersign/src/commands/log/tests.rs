use super::*;
use messages::{Base64, EntriesView, LogEntryView};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader as Buffered},
    net::{TcpListener, TcpStream},
};

/// Entries of the served log: two milestones and something.
const SIZE: u64 = 20_500;

/// Gives pages of a log of `SIZE` entries, as the control plane does: often shorter ones than it is asked for. What an entry
/// says is not looked at here.
async fn answer(stream: TcpStream) -> Option<()> {
    let mut stream = Buffered::new(stream);
    loop {
        let mut first = String::new();
        stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
        let mut line = first.clone();
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line).await.ok()?;
        }
        let from: u64 = first.split_once("from=")?.1.split(['&', ' ']).next()?.parse().ok()?;
        let entry = |seq| LogEntryView { seq, entry: Base64(vec![1]), tokens: vec![Base64(vec![2])] };
        let entries = (from..SIZE).take(if from < 500 { 1 } else { 500 }).map(entry).collect();
        let body = serde_json::to_string(&EntriesView { entries, head: Some(SIZE - 1) }).ok()?;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
    }
}

#[tokio::test]
async fn a_long_log_tells_how_far_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    let plane = ControlPlane::new(url, None).unwrap();
    for (size, expected) in [(SIZE, vec!["10000 of 20500 entries", "20000 of 20500 entries"]), (9_999, vec![])] {
        let (mut told, mut taken) = (Vec::new(), 0_u64);
        let mut progress = Progress::entries(size, |line: &str| told.push(line.to_owned()));
        let take = |_, _| {
            taken += 1;
            Ok(())
        };
        each_entry(&plane, size, &mut progress, take).await.unwrap();
        assert_eq!((taken, told), (size, expected.into_iter().map(str::to_owned).collect()));
    }
    serving.abort();
}
