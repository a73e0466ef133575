//! What every service needs to serve. HTTP/1.1: how many connections there may be, how long the head of a request may take,
//! how it ends, and what is answered while it starts; and how a service says which of its settings are wrong.
//!
//! A connection beyond the limit is told so by 503 with `Retry-After` and closed; those that are open stay. So many more
//! are kept for saying that, and once they are taken too, nothing is accepted until one closes: the system's own queue
//! holds what comes.
//!
//! A connection on which no head arrives in time is closed, be it new, half-way through a head or between two requests. An
//! answer that streams for hours is none of these.

mod config_error;
mod open_files;
mod starting;
mod turning_away;

pub use config_error::{ConfigError, ConfigErrors};
pub use starting::starting;

use axum::{Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

/// Connections that are served at once: as many requests as the busiest service has in work, its followers, and room for
/// those who only look. HTTP/1.1 has one request per connection.
pub const CONNECTIONS: usize = 4_608;
/// How long the head of a request may take. A client sends it in one piece; who needs longer is holding the connection.
/// Connections that are kept for the next request are closed after this time, too.
pub const HEAD: Duration = Duration::from_secs(30);
/// Connections beyond the limit that are told to come back, at once.
const TURNED_AWAY: usize = 64;
/// How long the head of a request may take that is turned away: whoever waits for one of these places waits for this.
const HEAD_TURNED_AWAY: Duration = Duration::from_secs(5);
/// Bytes of a request's head. The longest holds a read token of 16 KiB.
const MAX_HEAD: usize = 64 * 1024;

/// Says in the log when others than the processes of this machine may reach a service.
pub fn warn_of_strangers(address: SocketAddr) {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "other machines may reach this address, in the clear: put a proxy with TLS in front");
    }
}

/// What a server takes on.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are served at once; more are answered 503. Fewer when the process may not open so many files.
    pub connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle between two requests.
    pub head: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS, head: HEAD }
    }
}

/// What a connection holds while it is open.
struct Place {
    is_served: bool,
    _permit: OwnedSemaphorePermit,
}

/// The places that are left.
struct Places {
    limit: usize,
    served: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
}

/// Serves `app` until `shutdown` resolves, finishes what is in work, and returns. The paths `always` are answered on
/// connections beyond the limit, too: what operators ask, and what must not wait. Dropped before, it cuts everything off.
pub async fn serve(
    mut listener: TcpListener,
    app: Router,
    always: &'static [&'static str],
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let places = Places::new(open_files::affordable(limits.connections));
    let turned_away = turning_away::only(app.clone(), always, HEAD_TURNED_AWAY.min(limits.head));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(MAX_HEAD);
    let mut http_turned_away = http.clone();
    http_turned_away.header_read_timeout(HEAD_TURNED_AWAY.min(limits.head)).keep_alive(false);

    let (end, ending) = watch::channel(());
    let (mut connections, mut is_full) = (JoinSet::new(), false);
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            accepted = places.accept(&mut listener) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let was_full = std::mem::replace(&mut is_full, !place.is_served);
        if is_full && !was_full {
            tracing::warn!(limit = places.limit, "all connections are taken; more are told to come back");
        }
        let (http, app) = if place.is_served { (&http, &app) } else { (&http_turned_away, &turned_away) };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let mut ending = ending.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = ending.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    drop(end);
    while connections.join_next().await.is_some() {}
}

impl Places {
    fn new(connections: usize) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self { limit: connections, served: semaphore(connections), turned_away: semaphore(TURNED_AWAY) }
    }

    /// The next connection, as soon as there is a place for it.
    async fn accept(&self, listener: &mut TcpListener) -> (TcpStream, Place) {
        let mut place = self.free().await;
        let (stream, _) = Listener::accept(listener).await;
        // Small answers and lines of a stream must not wait for an acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
        // A better place may have become free meanwhile.
        if !place.is_served
            && let Ok(permit) = Arc::clone(&self.served).try_acquire_owned()
        {
            place = Place { is_served: true, _permit: permit };
        }
        (stream, place)
    }

    async fn free(&self) -> Place {
        tokio::select! {
            biased;
            Ok(permit) = Arc::clone(&self.served).acquire_owned() => Place { is_served: true, _permit: permit },
            Ok(permit) = Arc::clone(&self.turned_away).acquire_owned() => Place { is_served: false, _permit: permit },
            // Neither is ever closed.
            else => std::future::pending().await,
        }
    }
}
