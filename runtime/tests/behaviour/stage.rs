//! A gateway connected to an embedded connector, and functions that wait for what either observes.

use super::authority::{Authority, NOW};
use crate::Kit;
use futures_util::StreamExt;
use relayline_connector::chats::{Ids, Room};
use relayline_connector::{Act, ConnectorConfig, DuplexStream, EmbeddedConnector, Observation, ServerConfig};
use relayline_control::config::GatewayConfig;
use relayline_control::url::DialUrl;
use relayline_core::command::{Command, Failure, Reply};
use relayline_core::config::Identity;
use relayline_core::op::{Op, SendMessage};
use relayline_core::output::Notice;
use relayline_core::time::Now;
use relayline_runtime::{Delivery, Inbox, Incoming, Relay, Runtime};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Transport between the gateway and the connector.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Wire {
    Tcp,
    /// TCP with TLS.
    Tls,
    /// Memory, without a socket.
    Memory,
}

/// Authority that has signed every connector's certificate.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("ours"));

/// Opens a connection in memory and returns the gateway's end; `None` once the connector is gone.
type Open = Arc<dyn Fn() -> Option<DuplexStream> + Send + Sync>;

/// Name of a host, in memory, whose first address does not answer.
pub(crate) const HALF_DEAD: &str = "half-dead.example";
const DEAD: [u8; 4] = [192, 0, 2, 66];
const ALIVE: [u8; 4] = [127, 0, 0, 1];

/// A runtime whose connections lead to one place, whatever is dialed.
#[derive(Clone)]
struct Memory<R> {
    runtime: R,
    open: Open,
}

impl<R: Runtime> Runtime for Memory<R> {
    type Tcp = Compat<DuplexStream>;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        let addresses = if host == HALF_DEAD { &[DEAD, ALIVE][..] } else { &[ALIVE] };
        ready(Ok(addresses.iter().map(|address| SocketAddr::from((*address, port))).collect()))
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        let open = self.open.clone();
        async move {
            if address.ip() == IpAddr::from(DEAD) {
                return pending().await;
            }
            let stream = open().ok_or(io::ErrorKind::ConnectionRefused);
            Ok(stream?.compat())
        }
    }

    type Listener = Infallible;

    fn listen(&self, _: TcpListener) -> io::Result<Infallible> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(listener: &Infallible) -> io::Result<Self::Tcp> {
        match *listener {}
    }

    type File = R::File;

    fn open(
        &self,
        file: std::path::PathBuf,
    ) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static {
        self.runtime.open(file)
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.sleep(span)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

pub(crate) struct Stage {
    pub(crate) kit: Kit,
    pub(crate) relay: Relay,
    pub(crate) inbox: Inbox,
    pub(crate) connector: Arc<EmbeddedConnector>,
    pub(crate) ids: EventIds,
}

/// Returns the configuration of a gateway for discord and telegram, without credentials and with short back-offs.
pub(crate) fn config(url: &str, settings: &[(&str, &str)]) -> GatewayConfig {
    let identity = |platform: &str| Identity::new(platform, "");
    let mut config = GatewayConfig::new(DialUrl::parse(url).unwrap(), identity("discord"));
    config.machine.identities.push(identity("telegram"));
    config.set("backoff_first", "10ms").unwrap();
    for (name, value) in settings {
        config.set(name, value).unwrap();
    }
    config
}

/// Starts a gateway over this wire. `open` opens connections in memory.
pub(crate) fn connect(
    kit: &Kit,
    wire: Wire,
    mut config: GatewayConfig,
    open: impl Fn() -> Option<DuplexStream> + Send + Sync + 'static,
) -> (Relay, Inbox) {
    config.network = AUTHORITY.network();
    match wire {
        Wire::Tcp | Wire::Tls => kit.connect(config),
        Wire::Memory => {
            let memory = Memory { runtime: kit.runtime(), open: Arc::new(open) };
            relayline_runtime::start(memory, config).unwrap()
        }
    }
}

/// Returns a function that opens connections in memory to this connector, without keeping it alive.
pub(crate) fn opener(
    connector: &Arc<EmbeddedConnector>,
) -> impl Fn() -> Option<DuplexStream> + Send + Sync + use<> {
    let connector = Arc::downgrade(connector);
    move || Some(connector.upgrade()?.open(8 << 10))
}

/// Returns the frame of an observation, if it has one.
pub(crate) fn frame(saw: &Observation) -> Option<&Value> {
    if let Observation::Frame { frame, .. } = saw { Some(frame) } else { None }
}

pub(crate) struct EventIds(pub(crate) Ids);

impl EventIds {
    pub(crate) fn event(&mut self, room: &Room, text: &str) -> Map<String, Value> {
        room.message(&mut self.0, Now { unix_s: 1_718_900_000, ..Now::default() }, text)
    }
}

impl Stage {
    /// Creates a connected stage, with the descriptors of both platforms.
    pub(crate) fn new(wire: Wire, settings: &[(&str, &str)]) -> Stage {
        let mut stage = Stage::dial(wire, Stage::connector(wire), settings);
        stage.notice(|notice| matches!(notice, Notice::Platform { .. }));
        stage
    }

    /// A connector that can be dialed so.
    pub(crate) fn connector(wire: Wire) -> Arc<EmbeddedConnector> {
        Stage::connector_of(wire, ConnectorConfig::default())
    }

    pub(crate) fn connector_of(wire: Wire, config: ConnectorConfig) -> Arc<EmbeddedConnector> {
        let mut config = ServerConfig::from(config);
        config.tls = (wire == Wire::Tls).then(|| AUTHORITY.server("127.0.0.1", NOW));
        Arc::new(EmbeddedConnector::start(config, "127.0.0.1:0").unwrap())
    }

    pub(crate) fn dial(wire: Wire, connector: Arc<EmbeddedConnector>, settings: &[(&str, &str)]) -> Stage {
        Stage::dial_with(wire, connector, settings, |_| ())
    }

    /// Dials with a configuration changed by `change`.
    pub(crate) fn dial_with(
        wire: Wire,
        connector: Arc<EmbeddedConnector>,
        settings: &[(&str, &str)],
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Stage {
        let kit = Kit::new();
        let mut config = config(&connector.url(), settings);
        change(&mut config);
        let (relay, inbox) = connect(&kit, wire, config, opener(&connector));
        Stage { kit, relay, inbox, connector, ids: EventIds(Ids::new([0; 32])) }
    }

    pub(crate) fn deliver(&mut self, room: &Room, text: &str, buffered: bool) {
        let event = self.ids.event(room, text);
        self.connector.control(Act::Inbound { event, buffered: Some(buffered) }).unwrap();
    }

    /// Submits a send. The future resolves to its answer.
    pub(crate) fn submit(&self, content: &str) -> impl Future<Output = Result<Reply, Failure>> + use<> {
        let send = SendMessage::new("1", content);
        self.relay.submit(Command::Op(Op::Send(send))).unwrap()
    }

    /// Returns the next frame that the connector receives and that is `wanted`.
    #[track_caller]
    pub(crate) fn sees(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let saw = self.connector.wait_for(|saw| frame(saw).is_some_and(&wanted), SOON);
        frame(&saw.unwrap_or_else(|missed| panic!("{missed}"))).unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn sees_outbound(&self, content: &str) {
        self.sees(|frame| frame["action"]["content"] == content);
    }

    #[track_caller]
    fn next(&mut self) -> Incoming {
        self.kit.block_on(self.inbox.next()).expect("the stream goes on")
    }

    #[track_caller]
    pub(crate) fn next_but_notices(&mut self) -> Incoming {
        loop {
            match self.next() {
                Incoming::Notice(_) => {}
                other => return other,
            }
        }
    }

    #[track_caller]
    pub(crate) fn message(&mut self) -> Delivery {
        match self.next_but_notices() {
            Incoming::Message(delivery) => delivery,
            other => panic!("{other:?}"),
        }
    }

    /// Skips notices until one is `wanted`.
    #[track_caller]
    pub(crate) fn notice(&mut self, wanted: impl Fn(&Notice) -> bool) {
        loop {
            match self.next() {
                Incoming::Notice(notice) if wanted(&notice) => return,
                Incoming::Notice(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
