//! The connector behind the recorder: where it is, and a byte stream to it.

use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use relayline_core::url::DialUrl;
use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::compat::{FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

/// A byte stream, over TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connector, by its URL.
#[derive(Clone)]
pub struct Upstream {
    url: DialUrl,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("url", &self.shown()).finish_non_exhaustive()
    }
}

impl Upstream {
    /// The connector that a gateway would dial at this URL; `tls` is what a `wss` URL needs.
    pub fn new(url: DialUrl, tls: Option<TlsConnector>) -> Upstream {
        Upstream { url, tls }
    }

    /// The URL without its query, which may hold a credential.
    pub(super) fn shown(&self) -> &str {
        self.url.as_str().split('?').next().unwrap_or_default()
    }

    /// What goes into `Host`.
    pub(super) fn authority(&self) -> &str {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or_default()
    }

    /// What to ask for where a gateway asked for this path and query: the URL's own path stands before it, without
    /// `/relay`, and its query behind it (L-1).
    pub(super) fn target(&self, asked: &str) -> String {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
        let path = place.find('/').map_or("", |at| &place[at..]);
        let base = path.strip_suffix("/relay").unwrap_or(path);
        match query {
            Some(query) => {
                format!("{base}{asked}{}{query}", if asked.contains('?') { '&' } else { '?' })
            }
            None => format!("{base}{asked}"),
        }
    }

    /// Connects.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let tcp = TcpStream::connect((self.url.host(), self.url.port())).await?;
        tcp.set_nodelay(true)?;
        if !self.url.is_secure() {
            return Ok(Box::new(tcp));
        }
        let Some(tls) = &self.tls else { return Err(io::Error::other("there is no TLS for it")) };
        let name = ServerName::try_from(self.url.host().to_owned()).map_err(io::Error::other)?;
        let stream = tls.connect(name, tcp.compat()).await;
        let stream = stream.map_err(|error| io::Error::other(format!("TLS: {error}")))?;
        Ok(Box::new(stream.compat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l_1_where_requests_go() {
        for (url, asked, authority, target) in [
            ("http://c.example", "/relay", "c.example", "/relay"),
            ("wss://c.example:444/base/relay", "/relay/enroll", "c.example:444", "/base/relay/enroll"),
            ("ws://[::1]:9/x?k=1", "/relay", "[::1]:9", "/x/relay?k=1"),
            ("ws://c.example?k=1", "/relay?a=b", "c.example", "/relay?a=b&k=1"),
        ] {
            let upstream = Upstream::new(DialUrl::parse(url).unwrap(), None);
            assert_eq!((upstream.authority(), upstream.target(asked).as_str()), (authority, target), "{url}");
            assert!(!format!("{upstream:?}").contains("k=1"), "C-4");
        }
    }
}
