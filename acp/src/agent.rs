//! Description that an agent gives of itself in its response to `initialize`.

use crate::output::StopCause;
use agent_client_protocol_schema::{
    AgentCapabilities, AuthMethod, ClientCapabilities, ClientRequest, Implementation, InitializeRequest,
    InitializeResponse, McpServer, ProtocolVersion,
};
use serde_json::Value;

/// Version of the protocol that this client speaks.
const VERSION: u16 = 1;

/// Description that an agent gives of itself.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Name and version, if the agent has said them.
    pub name: Option<String>,
    /// Its capabilities.
    pub capabilities: AgentCapabilities,
    /// Ids and names of its authentication methods.
    pub auth_methods: Vec<(String, String)>,
}

impl AgentInfo {
    /// Reads the response to `initialize`.
    ///
    /// # Errors
    /// It has another version, or another form.
    pub(crate) fn read(result: Value) -> Result<AgentInfo, StopCause> {
        // First, since another version may have another form.
        let version = result.get("protocolVersion").and_then(Value::as_u64);
        if let Some(other) = version.filter(|version| *version != u64::from(VERSION)) {
            return Err(StopCause::Version(u16::try_from(other).unwrap_or(u16::MAX)));
        }
        let response: InitializeResponse =
            serde_json::from_value(result).map_err(|error| StopCause::NotInitialized(error.to_string()))?;
        let name = response.agent_info.map(|info| format!("{} {}", info.name, info.version));
        let method = |method: &AuthMethod| (method.id().0.to_string(), method.name().to_owned());
        Ok(AgentInfo {
            name,
            capabilities: response.agent_capabilities,
            auth_methods: response.auth_methods.iter().map(method).collect(),
        })
    }

    /// Returns the authentication methods as a list for people.
    pub(crate) fn list_auth_methods(&self) -> String {
        if self.auth_methods.is_empty() {
            return "it offers none: log in with the agent's own command".to_owned();
        }
        let each = self.auth_methods.iter().map(|(id, name)| format!("{id} ({name})"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Returns an error if the agent does not have this method.
    pub(crate) fn check_auth_method(&self, method: &str) -> Result<(), StopCause> {
        if self.auth_methods.iter().any(|(id, _)| id == method) {
            return Ok(());
        }
        let methods = self.list_auth_methods();
        Err(StopCause::UnknownAuthMethod(format!(
            "--acp-auth {method}: the agent has no such authentication method; its methods: {methods}"
        )))
    }

    /// Returns the MCP servers whose transport the agent does not support.
    pub fn unsupported<'a>(&self, servers: &'a [McpServer]) -> Vec<&'a str> {
        let supported = &self.capabilities.mcp_capabilities;
        let name = |server: &'a McpServer| match server {
            McpServer::Http(http) if !supported.http => Some(http.name.as_str()),
            McpServer::Sse(sse) if !supported.sse => Some(sse.name.as_str()),
            _ => None,
        };
        servers.iter().filter_map(name).collect()
    }
}

/// Returns the `initialize` request. It offers neither files nor terminals.
pub(crate) fn initialize(client_version: &str) -> ClientRequest {
    let request = InitializeRequest::new(ProtocolVersion::V1)
        .client_capabilities(ClientCapabilities::default())
        .client_info(Implementation::new("relayline", client_version));
    ClientRequest::InitializeRequest(request)
}
