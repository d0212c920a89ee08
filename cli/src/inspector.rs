//! `--inspect`: the live page of a gateway or a connector.
//!
//! A feed observes the wire and never delays it. A thread of its own describes what the feed has collected, and publishes
//! it for the page, which a third thread serves.

mod app;

use crate::complain;
use crate::gateway::RuntimeName;
use crate::page_server::{PageApp, PageError, PagePort, PageServer, RemoteAccess, page_address};
use app::{InspectorApp, Subject};
use clap::Args;
use relayline_core::secret::Secret;
use relayline_harness::live::{FeedLimits, LiveFeed, LiveOptions};
use relayline_harness::recording::Gateway;
use relayline_runtime::observe::WireObserver;
use serde_json::Value;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Flags of the inspector.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Inspector")]
pub(crate) struct InspectArguments {
    /// Address of the inspector, a page that shows the session live, as in 127.0.0.1:7070.
    ///
    /// Its URL is printed on stderr. The token in it lets a browser in. The page shows the texts of messages. Port 0 takes
    /// a free port.
    #[arg(long, value_name = "ADDR", value_parser = page_address)]
    pub(crate) inspect: Option<SocketAddr>,

    /// Replace texts by filler and ids by pseudonyms before they reach the inspector.
    #[arg(long, requires = "inspect")]
    pub(crate) inspect_hide_text: bool,

    /// Let --inspect listen on an address that other machines reach. The page is not encrypted.
    #[arg(long)]
    pub(crate) inspect_remote: bool,
}

impl InspectArguments {
    /// Opens the port of the inspector, if one is requested.
    ///
    /// # Errors
    /// The port cannot be used.
    pub(crate) fn open(&self) -> Result<Option<InspectorPort>, PageError> {
        let Some(address) = self.inspect else { return Ok(None) };
        let access = match self.inspect_remote {
            true => RemoteAccess::Allowed,
            false => RemoteAccess::NeedsFlag("--inspect-remote"),
        };
        let port = PagePort::open("--inspect", address, access)?;
        Ok(Some(InspectorPort::on(port, self.inspect_hide_text)))
    }
}

/// Open port of an inspector, and the feed of what it shows.
#[derive(Debug)]
pub(crate) struct InspectorPort {
    port: PagePort,
    feed: Arc<LiveFeed>,
    hides_text: bool,
}

/// Subject of an inspector.
pub(crate) struct Inspected {
    /// True for a connector, false for a gateway.
    pub(crate) is_connector: bool,
    /// Settings of the gateway, as far as they are known.
    pub(crate) gateway: Gateway,
    /// Credentials to redact.
    pub(crate) secrets: Vec<Secret>,
    /// Returns the status that the page shows beside the frames.
    pub(crate) status: Box<dyn Fn() -> Value + Send>,
}

impl InspectorPort {
    /// Creates the inspector of a port that is open already.
    pub(crate) fn on(port: PagePort, hides_text: bool) -> InspectorPort {
        InspectorPort { port, feed: Arc::new(LiveFeed::new(FeedLimits::default())), hides_text }
    }

    /// Returns the observer to set before the first dial.
    pub(crate) fn observer(&self) -> Arc<dyn WireObserver> {
        self.feed.clone()
    }

    /// Returns the URL of a page of the port, as [`PagePort::url`] does.
    pub(crate) fn url(&self, mount: &str) -> String {
        self.port.url(mount)
    }

    /// Serves the page, and prints its URL.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start(self, runtime: RuntimeName, inspected: Inspected) -> io::Result<Inspector> {
        let url = self.url("/");
        let inspector = self.start_beside(runtime, inspected, "/", Vec::new())?;
        complain(format_args!("inspector: {url}"));
        Ok(inspector)
    }

    /// Serves the page at a mount, and other pages at theirs.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn start_beside(
        self,
        runtime: RuntimeName,
        inspected: Inspected,
        mount: &'static str,
        mut pages: Vec<(&'static str, Arc<dyn PageApp>)>,
    ) -> io::Result<Inspector> {
        let InspectorPort { port, feed, hides_text } = self;
        let Inspected { is_connector, gateway, secrets, status } = inspected;
        let mut options = LiveOptions::default();
        (options.hides_text, options.secrets, options.gateway) = (hides_text, secrets, gateway);
        let app = Arc::new(InspectorApp::new(Subject { is_connector, hides_text }, options));
        let describer = {
            let (app, feed) = (app.clone(), feed.clone());
            let describe = move || app.describe(&feed, &status);
            std::thread::Builder::new().name("inspector".to_owned()).spawn(describe)?
        };
        pages.push((mount, app));
        let server = port.serve(runtime, pages)?;
        Ok(Inspector { feed, describer: Some(describer), _server: server })
    }
}

/// An inspector that is served. Dropping it ends its threads.
pub(crate) struct Inspector {
    feed: Arc<LiveFeed>,
    describer: Option<JoinHandle<()>>,
    _server: PageServer,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").finish_non_exhaustive()
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.feed.close();
        if let Some(describer) = self.describer.take() {
            // The thread has printed its panic.
            let _ = describer.join();
        }
    }
}
