//! Connections, for WebSocket and HTTP alike: the name's look-up, TCP, a proxy's tunnel, TLS.

mod tunnel;

use crate::error::ConnectError;
use crate::progress::{Progress, Step};
use crate::{Runtime, tls};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_util::StreamExt;
use futures_util::future::{Either, pending, select};
use futures_util::stream::FuturesUnordered;
use relayline_control::http::Unreachable;
use relayline_control::network::{Network, Proxies, Proxy};
use relayline_control::url::is_loopback;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long an address may say nothing before the next one is tried, too.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A byte stream, over TLS or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// Bytes that are read.
pub(crate) type Source = Pin<Box<dyn AsyncRead + Send>>;

/// Any byte stream.
pub(crate) type Stream = Pin<Box<dyn Duplex>>;

/// Implements writing for a type that only looks at what is read: its field `stream` takes what is written.
macro_rules! writes_through {
    ($over:ident) => {
        impl futures_io::AsyncWrite for $over {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.stream.as_mut().poll_write(cx, bytes)
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.stream.as_mut().poll_flush(cx)
            }

            fn poll_close(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.stream.as_mut().poll_close(cx)
            }
        }
    };
}
pub(crate) use writes_through;

/// A runtime without its type, as far as connecting needs it.
trait Net: Send + Sync {
    fn look_up(&self, host: String, port: u16) -> Boxed<io::Result<Vec<SocketAddr>>>;
    fn connect(&self, address: SocketAddr) -> Boxed<io::Result<Stream>>;
    fn open(&self, file: PathBuf) -> Boxed<io::Result<(u64, Source)>>;
    fn sleep(&self, span: Duration) -> Boxed<()>;
}

impl<R: Runtime> Net for R {
    fn look_up(&self, host: String, port: u16) -> Boxed<io::Result<Vec<SocketAddr>>> {
        Box::pin(Runtime::look_up(self, host, port))
    }

    fn connect(&self, address: SocketAddr) -> Boxed<io::Result<Stream>> {
        let connect = Runtime::connect(self, address);
        Box::pin(async { Ok(Box::pin(connect.await?) as Stream) })
    }

    fn open(&self, file: PathBuf) -> Boxed<io::Result<(u64, Source)>> {
        let open = Runtime::open(self, file);
        Box::pin(async {
            let (length, file) = open.await?;
            Ok((length, Box::pin(file) as Source))
        })
    }

    fn sleep(&self, span: Duration) -> Boxed<()> {
        Box::pin(Runtime::sleep(self, span))
    }
}

/// How connections are made: a runtime, and what is configured of the network.
#[derive(Clone)]
pub(crate) struct Wires {
    net: Arc<dyn Net>,
    tls: TlsConnector,
    proxies: Proxies,
}

impl fmt::Debug for Wires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wires").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

impl Wires {
    /// The error is about the configured certificates.
    pub(crate) fn new<R: Runtime>(runtime: R, network: &Network) -> Result<Wires, ConnectError> {
        let tls = tls::connector(network.ca_certificates.as_ref()).map_err(ConnectError::Certificates)?;
        Ok(Wires { net: Arc::new(runtime), tls, proxies: network.proxies.clone() })
    }

    pub(crate) fn open(&self, file: PathBuf) -> Boxed<io::Result<(u64, Source)>> {
        self.net.open(file)
    }

    pub(crate) fn sleep(&self, span: Duration) -> Boxed<()> {
        self.net.sleep(span)
    }

    /// Connects to a host, a name or an address without brackets; over TLS where it is to be secure.
    /// `progress` is told each step.
    pub(crate) async fn reach(
        &self,
        secure: bool,
        host: &str,
        port: u16,
        progress: &Progress,
    ) -> Result<Stream, Unreachable> {
        let stream = match self.proxies.choose(secure, host, port) {
            None => self.tcp(host, port, progress).await?,
            Some(proxy) => self
                .through(proxy, host, port, progress)
                .await
                .map_err(|why| Unreachable::Proxy { proxy: proxy.to_string(), why })?,
        };
        let stream = if secure { self.tls(host, stream, progress).await? } else { stream };
        progress.begin(Step::Answer);
        Ok(stream)
    }

    /// One address after the other, until one takes the connection. One that says nothing does not hold up the next
    /// for long (RFC 8305): all of the dial's time would go by on it.
    async fn tcp(&self, host: &str, port: u16, progress: &Progress) -> Result<Stream, Unreachable> {
        progress.begin(Step::Name);
        let addresses = self.net.look_up(host.to_owned(), port).await;
        let mut addresses = addresses.map_err(|error| Unreachable::Name(error.to_string()))?;
        if is_loopback(host) {
            // C-6: what goes to a name of this machine may go in the clear, so it stays here whatever the look-up says.
            addresses.retain(|address| address.ip().is_loopback());
        }
        progress.begin(Step::Connect);
        let mut addresses = addresses.into_iter();
        let mut failed = Unreachable::Name("it has no address".to_owned());
        let mut attempts = FuturesUnordered::new();
        loop {
            attempts.extend(addresses.next().map(|address| self.net.connect(address)));
            let pause = if addresses.len() > 0 { self.net.sleep(NEXT_ADDRESS) } else { Box::pin(pending()) };
            match select(attempts.next(), pause).await {
                Either::Left((Some(Ok(stream)), _)) => return Ok(stream),
                Either::Left((Some(Err(error)), _)) => failed = Unreachable::Connect(error.to_string()),
                Either::Left((None, _)) => return Err(failed),
                Either::Right(((), _)) => {}
            }
        }
    }

    async fn tls(&self, host: &str, stream: Stream, progress: &Progress) -> Result<Stream, Unreachable> {
        progress.begin(Step::Tls);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Unreachable::Tls(format!("{host:?} is no name that a certificate can have")))?;
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::pin(stream)),
            Err(error) => Err(Unreachable::Tls(tls::meaning(&error, host))),
        }
    }

    async fn through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
        progress: &Progress,
    ) -> Result<Stream, String> {
        progress.through(Some(proxy));
        let before = async {
            let stream = self.tcp(proxy.host(), proxy.port(), progress).await?;
            if proxy.is_secure() { self.tls(proxy.host(), stream, progress).await } else { Ok(stream) }
        };
        let stream = before.await.map_err(|unreachable| unreachable.to_string())?;
        progress.begin(Step::Answer);
        let tunnel = tunnel::open(stream, host, port, proxy.authorization(), progress).await?;
        progress.through(None);
        Ok(tunnel)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Helpers of tests are tests, too.
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::io::Cursor;
    use std::future::{pending, ready};
    use std::sync::Mutex;

    /// A look-up that names another machine before this one, and what was connected to.
    #[derive(Default)]
    struct Liar(Mutex<Vec<SocketAddr>>);

    impl Net for Arc<Liar> {
        fn look_up(&self, _: String, port: u16) -> Boxed<io::Result<Vec<SocketAddr>>> {
            Box::pin(ready(Ok(vec![([192, 0, 2, 1], port).into(), ([127, 0, 0, 1], port).into()])))
        }

        fn connect(&self, address: SocketAddr) -> Boxed<io::Result<Stream>> {
            self.0.lock().unwrap().push(address);
            Box::pin(ready(Ok(Box::pin(Cursor::new(Vec::new())) as Stream)))
        }

        fn open(&self, _: PathBuf) -> Boxed<io::Result<(u64, Source)>> {
            Box::pin(pending())
        }

        fn sleep(&self, _: Duration) -> Boxed<()> {
            Box::pin(pending())
        }
    }

    #[test]
    fn c_6_a_name_of_this_machine_leads_nowhere_else() {
        for (host, expected) in [
            ("localhost", "127.0.0.1:80"),
            ("relay.localhost", "127.0.0.1:80"),
            ("c.example", "192.0.2.1:80"),
        ] {
            let liar = Arc::new(Liar::default());
            let tls = tls::connector(None).unwrap();
            let wires = Wires { net: Arc::new(liar.clone()), tls, proxies: Proxies::default() };
            assert!(wires.reach(false, host, 80, &Progress::default()).now_or_never().unwrap().is_ok());
            assert_eq!(*liar.0.lock().unwrap(), [expected.parse().unwrap()], "{host}");
        }
    }
}
