//! The workbench in a browser: its page, its events, and its actions on the connector.

use super::{Action, AgentView, Files, Workbench};
use crate::page_server::{EventLog, EventLogLimits, PageApp, PageFile, Snapshot};
use crate::signals::Shutdown;
use crate::unix_ms;
use futures_util::FutureExt;
use relayline_connector::{Act, EmbeddedConnector, Observation, UserFile};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The built page: one file. `web/` has its source, and `npm run build` there writes it.
const PAGE: &str = include_str!("page/workbench.html");
/// Maximum size of an action: a message with files.
const MAX_ACTION: usize = 40 << 20;
/// Interval of checks of whether a revoked gateway is admitted again.
const CHECK: Duration = Duration::from_millis(100);

/// Function that starts the agent again.
pub(crate) type RestartAgent = Box<dyn Fn() + Send + Sync>;

/// The workbench of a connector.
pub(crate) struct WorkbenchPage {
    model: Mutex<Workbench>,
    events: EventLog,
    connector: Arc<EmbeddedConnector>,
    restart: Option<RestartAgent>,
    /// Place of the inspector, relative to this page.
    inspector: &'static str,
}

impl fmt::Debug for WorkbenchPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkbenchPage").finish_non_exhaustive()
    }
}

impl WorkbenchPage {
    /// Creates the workbench of a connector that observes its output. `gateway` is the id of the gateway, if it is known.
    /// `inspector` is the place of its inspector, relative to this page.
    pub(crate) fn new(
        connector: Arc<EmbeddedConnector>,
        gateway: Option<&str>,
        restart: Option<RestartAgent>,
        inspector: &'static str,
    ) -> WorkbenchPage {
        let events = EventLog::new(EventLogLimits::default());
        WorkbenchPage { model: Mutex::new(Workbench::new(gateway)), events, connector, restart, inspector }
    }

    /// Applies an observation of the connector.
    pub(crate) fn observe(&self, seen: &Observation) {
        let mut model = self.lock();
        let gateway = model.gateway().unwrap_or_default().to_owned();
        model.observe(unix_ms(), seen, &mut OfConnector { connector: &self.connector, gateway });
        self.publish(model);
    }

    /// Changes the state of the agent's process.
    pub(crate) fn set_agent(&self, change: impl FnOnce(&mut AgentView)) {
        let mut model = self.lock();
        model.set_agent(change);
        self.publish(model);
    }

    /// Adds a line of the agent's stderr.
    pub(crate) fn add_stderr(&self, line: &str) {
        let mut model = self.lock();
        model.add_stderr(line);
        self.publish(model);
    }

    /// Looks at the connector's buffer again.
    pub(crate) fn refresh(&self) {
        self.publish(self.lock());
    }

    /// Waits while the person at the page refuses the gateway, which has ended for good. Returns false at a request to
    /// stop.
    pub(crate) fn wait_until_admitted(&self, shutdown: &Shutdown) -> bool {
        self.set_revoked(true);
        let is_over = || shutdown.triggered().now_or_never().is_some();
        while self.lock().refuses_gateway() && !is_over() {
            std::thread::sleep(CHECK);
        }
        self.set_revoked(false);
        !is_over()
    }

    fn set_revoked(&self, is_revoked: bool) {
        let mut model = self.lock();
        model.set_revoked(is_revoked);
        self.publish(model);
    }

    /// Publishes what has changed, in the order of the changes.
    fn publish(&self, mut model: MutexGuard<'_, Workbench>) {
        if let Some(gateway) = model.gateway().map(str::to_owned) {
            model.set_buffered(self.connector.buffered(&gateway));
        }
        for update in model.take_updates() {
            // All keys are texts, so it can be written as JSON.
            if let Ok(text) = serde_json::to_string(&update) {
                self.events.publish("update", &text);
            }
        }
    }

    fn carry_out(&self, action: Action) -> Result<Value, String> {
        if action == Action::RestartAgent {
            let restart =
                self.restart.as_ref().ok_or("the agent of this gateway is not run by this program")?;
            restart();
            return Ok(json!({}));
        }
        let mut model = self.lock();
        let gateway = model.gateway().map(str::to_owned);
        let known = gateway.clone().unwrap_or_default();
        let mut files = OfConnector { connector: &self.connector, gateway: known };
        let plan = model.plan(unix_ms(), action, &mut files)?;
        for act in &plan.acts {
            // Before the first dial it is for the only gateway.
            let done = match &gateway {
                Some(gateway) => self.connector.control(Act::clone(act).on(gateway)),
                None => self.connector.control(Act::clone(act)),
            };
            done.map_err(|error| error.to_string())?;
        }
        model.commit(unix_ms(), plan);
        self.publish(model);
        Ok(json!({}))
    }

    /// A panic under the lock has been reported.
    fn lock(&self) -> MutexGuard<'_, Workbench> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PageApp for WorkbenchPage {
    fn page(&self) -> Cow<'_, str> {
        PAGE.into()
    }

    fn events(&self) -> &EventLog {
        &self.events
    }

    fn snapshot(&self) -> Snapshot {
        let model = self.lock();
        // Events are published under the lock.
        let mut data = model.snapshot();
        data["inspector"] = self.inspector.into();
        Snapshot { next: self.events.next(), data }
    }

    fn act(&self, action: Value) -> Result<Value, String> {
        let action = serde_json::from_value(action).map_err(|error| {
            format!("the page and this program differ in version: {error}; load the page again")
        })?;
        self.carry_out(action)
    }

    fn file(&self, name: &str) -> Option<PageFile> {
        let gateway = self.lock().gateway().unwrap_or_default().to_owned();
        let file = self.connector.file(&gateway, &format!("/relay/media/{name}"))?;
        let is_shown = super::ops::IMAGES.contains(&file.content_type.as_str());
        // A browser does not interpret what a peer wrote.
        let content_type = if is_shown { file.content_type } else { "application/octet-stream".to_owned() };
        let save_as = (!is_shown).then(|| file.name.unwrap_or_else(|| "file".to_owned()));
        Some(PageFile { content_type: content_type.into(), save_as, bytes: file.content })
    }

    fn max_action_bytes(&self) -> usize {
        MAX_ACTION
    }
}

/// Ids and files of a connector.
struct OfConnector<'a> {
    connector: &'a EmbeddedConnector,
    gateway: String,
}

impl Files for OfConnector<'_> {
    fn message_id(&mut self, platform: &str) -> String {
        self.connector.message_id(platform)
    }

    fn add_file(&mut self, file: UserFile) -> Option<String> {
        self.connector.add_file(&self.gateway, file)
    }

    fn file(&mut self, url: &str) -> Option<UserFile> {
        self.connector.file(&self.gateway, url)
    }
}
