//! Answers HTTP as a test says, in place of a service that does not tell the truth.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part and ends where it fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};
use ucan::{Invocation, Limits, Token, Verified, container};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and path with its query, such as `GET /v1/log/checkpoint`.
    pub what: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The statement in the body.
    pub fn statement(&self) -> Verified<Invocation> {
        let tokens = container::decode(&self.body, &Limits::default()).unwrap();
        let statement = tokens.iter().find_map(|token| match ucan::open(token).unwrap() {
            Token::Invocation(said) => Some(said),
            Token::Delegation(_) => None,
        });
        statement.unwrap()
    }
}

/// What is answered: everything behind `HTTP/1.1 `.
pub struct Answer(String);

impl Answer {
    /// A status with headers of its own and a body.
    pub fn new(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self(format!("{status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
    }

    /// What a log says that takes the statement.
    pub fn taken(asked: &Asked) -> Self {
        Self::json(&serde_json::json!({"id": asked.statement().cid(), "seq": 8}))
    }

    /// Whatever is said, and then the end.
    pub fn cut(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// 200 with JSON.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::new("200 OK", "content-type: application/json\r\n", &body.to_string())
    }
}

/// A service until the test ends.
pub struct Fake {
    /// Where it listens.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Answers each request with what `answer` makes of it.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // Whoever hangs up is not answered.
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { url, asked }
    }

    /// The requests so far whose method and path begin with this.
    pub fn asked(&self, what: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.what.starts_with(what)).cloned().collect()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Answer) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let asked = Asked { what: first.rsplit_once(' ')?.0.to_owned(), body };
    let Answer(text) = answer(&asked);
    seen.lock().unwrap().push(asked);
    stream.get_mut().write_all(format!("HTTP/1.1 {text}").as_bytes()).ok()
}
