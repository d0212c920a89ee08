//! Transfer between two sockets: bytes are unchanged, with one buffer per direction.

use super::encoder::WireEvent;
use super::sniffer::FrameSniffer;
use super::writer::Writer;
use crate::recording::Side;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

/// Size of the buffer of one direction.
const BUFFER: usize = 16 << 10;

/// Runs until both sides have ended, one is cut, or the recorder stops. Returning drops both sockets, which forwards a
/// cut.
pub(super) async fn run<G, C>(
    writer: &Writer,
    dial: u32,
    gateway: G,
    connector: C,
    mut stopped: watch::Receiver<bool>,
) where
    G: AsyncRead + AsyncWrite,
    C: AsyncRead + AsyncWrite,
{
    let (from_gateway, to_gateway) = tokio::io::split(gateway);
    let (from_connector, to_connector) = tokio::io::split(connector);
    let both = async {
        // An error on one side ends both. After an orderly end the other side may finish.
        let _ = tokio::try_join!(
            pass(writer, dial, Side::Gateway, from_gateway, to_connector),
            pass(writer, dial, Side::Connector, from_connector, to_gateway),
        );
    };
    let note = tokio::select! {
        () = both => None,
        // This also ends when the recorder is dropped.
        _ = stopped.wait_for(|stopped| *stopped) => {
            Some(format!("the recorder was stopped while dial {dial} was open"))
        }
    };
    writer.record(dial, WireEvent::Over { note });
}

async fn pass<F, T>(writer: &Writer, dial: u32, by: Side, mut from: F, mut to: T) -> io::Result<()>
where
    F: AsyncRead + Unpin,
    T: AsyncWrite + Unpin,
{
    let mut sniffer = FrameSniffer::default();
    let mut buffer = vec![0; BUFFER];
    let other = match by {
        Side::Gateway => Side::Connector,
        Side::Connector => Side::Gateway,
    };
    loop {
        let read = from.read(&mut buffer).await;
        let length = match read {
            Ok(0) | Err(_) => {
                writer.record(dial, WireEvent::Cut { by });
                read?;
                return to.shutdown().await;
            }
            Ok(length) => length,
        };
        let bytes = &buffer[..length];
        // Recorded before it is forwarded, so that its response cannot be recorded first.
        sniffer.read(bytes, &mut |seen| writer.record(dial, WireEvent::Sent { by, seen }));
        let written = async {
            to.write_all(bytes).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            writer.record(dial, WireEvent::Cut { by: other });
            return Err(error);
        }
    }
}
