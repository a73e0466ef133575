//! A lean HTTP/1.1 client over one kept connection: it shares the cores with what it measures.

use anyhow::{Context as _, bail, ensure};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer is a status line, some headers and a small JSON body.
const MAX_ANSWER: usize = 64 * 1024;

/// One connection, one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What the server said; valid until the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: &'a [u8],
}

/// The bytes of a request with a container for its body.
pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/vnd.ucan.container\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The bytes of a request without body.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not answer"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(2048) })
    }

    /// Sends a request and waits for the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some((head, length)) = head(&self.buffer)? {
                let end = head.saturating_add(length);
                ensure!(end <= MAX_ANSWER, "an answer is too large");
                if self.buffer.len() >= end {
                    break;
                }
            }
            ensure!(self.buffer.len() <= MAX_ANSWER, "an answer is too large");
        }
        answer(&self.buffer)
    }
}

/// Where the headers end and how long the body is, once all headers are there.
fn head(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let Some(length) = length else { bail!("an answer says not how long it is") };
    Ok(Some((end.saturating_add(4), length?)))
}

fn answer(bytes: &[u8]) -> anyhow::Result<Answer<'_>> {
    let (start, _) = head(bytes)?.context("the answer ends in its headers")?;
    let status = bytes.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).context("no status")?;
    Ok(Answer { status: status.parse()?, body: bytes.get(start..).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn an_answer_ends_where_its_headers_say() {
        assert_eq!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n").unwrap(), None);
        let whole = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(whole).unwrap(), Some((43, 2)));
        assert_eq!(answer(whole).unwrap(), Answer { status: 201, body: b"{}" });
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn a_connection_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; post("/a", b"xyz").len()];
            for _ in 0..2 {
                stream.read_exact(&mut seen).await.unwrap();
                // In two parts, so that one read is not the whole answer.
                stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-le").await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(b"ngth: 4\r\n\r\nbody").await.unwrap();
            }
        });
        let mut connection = Connection::open(address).await.unwrap();
        for _ in 0..2 {
            let answer = connection.ask(&post("/a", b"xyz")).await.unwrap();
            assert_eq!(answer, Answer { status: 201, body: b"body" });
        }
        server.await.unwrap();
        assert!(connection.ask(&get("/")).await.is_err(), "the server has gone");
    }
}
