//! Dialer of byte streams, for WebSocket and HTTP: name look-up, TCP, proxy tunnel, TLS.

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
use relayline_control::settings::Names;
use relayline_control::url::is_loopback;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Delay after which the next address is tried while the one before it is still pending (RFC 8305).
const ADDRESS_DELAY: Duration = Duration::from_millis(250);

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Bidirectional byte stream, with or without TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// Boxed reader, such as a file.
pub(crate) type BoxReader = Pin<Box<dyn AsyncRead + Send>>;

/// Boxed byte stream.
pub(crate) type ByteStream = Pin<Box<dyn Duplex>>;

/// Implements `AsyncWrite` by delegation to the field `stream`, for types that only inspect the bytes read.
macro_rules! delegate_writes {
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
pub(crate) use delegate_writes;

/// Object-safe part of [`Runtime`] for clients: connections, files to send, and time.
trait ClientRuntime: Send + Sync {
    fn look_up(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>>;
    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<ByteStream>>;
    fn open(&self, file: PathBuf) -> BoxFuture<io::Result<(u64, BoxReader)>>;
    fn sleep(&self, span: Duration) -> BoxFuture<()>;
}

impl<R: Runtime> ClientRuntime for R {
    fn look_up(&self, host: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
        Box::pin(Runtime::look_up(self, host, port))
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<ByteStream>> {
        let connect = Runtime::connect(self, address);
        Box::pin(async { Ok(Box::pin(connect.await?) as ByteStream) })
    }

    fn open(&self, file: PathBuf) -> BoxFuture<io::Result<(u64, BoxReader)>> {
        let open = Runtime::open(self, file);
        Box::pin(async {
            let (length, file) = open.await?;
            Ok((length, Box::pin(file) as BoxReader))
        })
    }

    fn sleep(&self, span: Duration) -> BoxFuture<()> {
        Box::pin(Runtime::sleep(self, span))
    }
}

/// Dialer of byte streams on a runtime, with the configured proxies and certificates.
#[derive(Clone)]
pub(crate) struct Dialer {
    runtime: Arc<dyn ClientRuntime>,
    tls: TlsConnector,
    proxies: Proxies,
    /// Names of settings in messages.
    names: Names,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

impl Dialer {
    /// Creates a dialer.
    ///
    /// # Errors
    /// The configured certificates cannot be used.
    pub(crate) fn new<R: Runtime>(runtime: R, network: &Network) -> Result<Dialer, ConnectError> {
        let tls = tls::connector(network).map_err(ConnectError::Certificates)?;
        Ok(Dialer { runtime: Arc::new(runtime), tls, proxies: network.proxies.clone(), names: network.names })
    }

    pub(crate) fn open(&self, file: PathBuf) -> BoxFuture<io::Result<(u64, BoxReader)>> {
        self.runtime.open(file)
    }

    pub(crate) fn sleep(&self, span: Duration) -> BoxFuture<()> {
        self.runtime.sleep(span)
    }

    /// Connects to a host, which is a name or an address without brackets. Uses TLS if `secure`. Reports each step to
    /// `progress`.
    pub(crate) async fn connect(
        &self,
        secure: bool,
        host: &str,
        port: u16,
        progress: &Progress,
    ) -> Result<ByteStream, Unreachable> {
        let stream = match self.proxies.choose(secure, host, port) {
            None => self.tcp(host, port, progress).await?,
            Some(proxy) => self
                .connect_through(proxy, host, port, progress)
                .await
                .map_err(|why| Unreachable::Proxy { proxy: proxy.to_string(), why })?,
        };
        let stream = if secure { self.tls(host, stream, progress).await? } else { stream };
        progress.begin(Step::Answer);
        Ok(stream)
    }

    /// Connects over TCP to the first address that accepts. An address that does not answer delays the next one by
    /// [`ADDRESS_DELAY`] only: otherwise it would use up the dial's time.
    async fn tcp(&self, host: &str, port: u16, progress: &Progress) -> Result<ByteStream, Unreachable> {
        progress.begin(Step::Name);
        let addresses = self.runtime.look_up(host.to_owned(), port).await;
        let mut addresses = addresses.map_err(|error| Unreachable::Name(error.to_string()))?;
        if is_loopback(host) {
            // C-6: traffic to a name of this machine may be unencrypted, so it must not leave the machine, whatever
            // addresses the look-up returns.
            addresses.retain(|address| address.ip().is_loopback());
        }
        progress.begin(Step::Connect);
        let mut addresses = addresses.into_iter();
        let mut failed = Unreachable::Name("it has no address".to_owned());
        let mut attempts = FuturesUnordered::new();
        loop {
            attempts.extend(addresses.next().map(|address| self.runtime.connect(address)));
            let pause =
                if addresses.len() > 0 { self.runtime.sleep(ADDRESS_DELAY) } else { Box::pin(pending()) };
            match select(attempts.next(), pause).await {
                Either::Left((Some(Ok(stream)), _)) => return Ok(stream),
                Either::Left((Some(Err(error)), _)) => failed = Unreachable::Connect(error.to_string()),
                Either::Left((None, _)) => return Err(failed),
                Either::Right(((), _)) => {}
            }
        }
    }

    async fn tls(
        &self,
        host: &str,
        stream: ByteStream,
        progress: &Progress,
    ) -> Result<ByteStream, Unreachable> {
        progress.begin(Step::Tls);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Unreachable::Tls(format!("{host:?} is not a name that a certificate can have")))?;
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::pin(stream)),
            Err(error) => Err(Unreachable::Tls(tls::explain(&error, host, self.names))),
        }
    }

    async fn connect_through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
        progress: &Progress,
    ) -> Result<ByteStream, String> {
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

    /// Runtime whose look-up returns another machine's address before this one's. Holds the addresses connected to.
    #[derive(Default)]
    struct FakeRuntime(Mutex<Vec<SocketAddr>>);

    impl ClientRuntime for Arc<FakeRuntime> {
        fn look_up(&self, _: String, port: u16) -> BoxFuture<io::Result<Vec<SocketAddr>>> {
            Box::pin(ready(Ok(vec![([192, 0, 2, 1], port).into(), ([127, 0, 0, 1], port).into()])))
        }

        fn connect(&self, address: SocketAddr) -> BoxFuture<io::Result<ByteStream>> {
            self.0.lock().unwrap().push(address);
            Box::pin(ready(Ok(Box::pin(Cursor::new(Vec::new())) as ByteStream)))
        }

        fn open(&self, _: PathBuf) -> BoxFuture<io::Result<(u64, BoxReader)>> {
            Box::pin(pending())
        }

        fn sleep(&self, _: Duration) -> BoxFuture<()> {
            Box::pin(pending())
        }
    }

    #[test]
    fn c_6_a_name_of_this_machine_stays_on_this_machine() {
        for (host, expected) in [
            ("localhost", "127.0.0.1:80"),
            ("relay.localhost", "127.0.0.1:80"),
            ("c.example", "192.0.2.1:80"),
        ] {
            let runtime = Arc::new(FakeRuntime::default());
            let tls = tls::connector(&Network::default()).unwrap();
            let (proxies, names) = (Proxies::default(), Names::default());
            let dialer = Dialer { runtime: Arc::new(runtime.clone()), tls, proxies, names };
            assert!(dialer.connect(false, host, 80, &Progress::default()).now_or_never().unwrap().is_ok());
            assert_eq!(*runtime.0.lock().unwrap(), [expected.parse().unwrap()], "{host}");
        }
    }
}
