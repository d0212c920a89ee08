//! Steps of a gateway before its first dial: an access token, provisioning and policies, in this order.
//!
//! ```text
//! loop {
//!     match boot.next(unix_s) {
//!         Step::Run(command) => boot.printed(run(command)),
//!         Step::Read(file) => boot.read(read(file.path()), unix_s),
//!         Step::Send(request) => boot.answered(send(request)),
//!         Step::Dial { .. } => break,
//!     }
//! }
//! ```
//!
//! A step that is not answered is returned again. Failures do not stop the boot: each is a [`Report`]. The exception
//! is [`Step::Known`]: without a secret every dial would be refused.

use super::access_token::{self, TokenEndpoint, TokenFile, TokenSource};
use super::policy::Policy;
use super::provision::{Profile, Provision, Provisioned};
use super::{Base, Bearer, Failure, Issued, Request};
use crate::settings::Names;
use ::http::HeaderMap;
use relayline_core::config::{Credentials, Identity};
use relayline_core::secret::Secret;
use std::collections::VecDeque;

/// Condition under which a gateway is provisioned: `--provision`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Provisioning {
    /// Provision if the install is managed or a source of access tokens is configured.
    #[default]
    Auto,
    /// Provision always.
    Always,
    /// Do not provision.
    Never,
}

/// Configuration of a boot.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// Base URL of the connector.
    pub base: Base,
    /// Configured credentials. If they are set, nothing is provisioned, regardless of `provisioning`.
    pub credentials: Option<Credentials>,
    /// Condition under which the gateway is provisioned.
    pub provisioning: Provisioning,
    /// True if the install is managed.
    pub managed: bool,
    /// Source of access tokens.
    pub source: Option<TokenSource>,
    /// Profile of the gateway.
    pub profile: Profile,
    /// Identities of the gateway. Each is provisioned.
    pub identities: Vec<Identity>,
    /// Policies, one for each platform.
    pub policies: Vec<Policy>,
    /// Names of settings in messages.
    pub names: Names,
}

impl Plan {
    /// Creates the plan of a gateway that has nothing but its profile and identities.
    pub fn new(base: Base, profile: Profile, identities: Vec<Identity>) -> Plan {
        Plan {
            base,
            credentials: None,
            provisioning: Provisioning::default(),
            managed: false,
            source: None,
            profile,
            identities,
            policies: Vec::new(),
            names: Names::default(),
        }
    }
}

/// Next step of a boot.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Run this command, and pass its output to [`Boot::printed`]. Its text may contain a password.
    Run(Secret),
    /// Read this file, and pass its content to [`Boot::read`].
    Read(TokenFile),
    /// Send this request, and pass the response to [`Boot::answered`].
    Send(Request),
    /// The boot is complete.
    Dial {
        /// Credentials to dial with: the configured ones, or else the last that were issued.
        credentials: Option<Credentials>,
        /// Key that signs webhook requests, if one was issued.
        delivery_key: Option<Secret>,
        /// Platforms whose policy was not sent because there are no credentials.
        unsent: Vec<String>,
    },
    /// The boot ended without credentials: the connector knows the gateway and issued no secret.
    Known(KnownAlready),
}

/// Error returned when the connector knows the gateway already (`secretIssued: false`), and the gateway has no secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{host} knows the gateway {gateway_id:?} already and has issued no new secret, and none is set: set \
     GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET (or {}) to the ones that were issued to it, have the connector rotate its \
     secret, enroll it again, or choose another id{}",
    .names.choose("Builder::credentials", "--gateway-id and --secret-file"),
    .names.choose("", " with --gateway-id")
)]
#[non_exhaustive]
pub struct KnownAlready {
    /// Name of the connector's host.
    pub host: String,
    /// Id that the gateway asked for.
    pub gateway_id: String,
    /// Names of settings in the message.
    pub names: Names,
}

/// Status, headers and body of a response, or the failure.
pub type HttpResult<'a> = Result<(u16, &'a HeaderMap, &'a [u8]), Failure>;

/// Result of a step, for the host's logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// An access token was obtained.
    AccessToken,
    /// This platform is provisioned. The flag is true if a secret was issued.
    Provisioned(String, bool),
    /// The policy of this platform was accepted.
    Policy(String),
    /// A step failed, and the boot continues.
    Failed {
        /// Name of the step: `provisioning`, or `provisioning discord`.
        what: String,
        /// Reason, and what to do.
        why: String,
    },
    /// The input does not match the pending step.
    Nothing,
}

/// A boot in progress.
#[derive(Clone, PartialEq, Debug)]
pub struct Boot {
    base: Base,
    profile: Profile,
    credentials: Option<Credentials>,
    delivery_key: Option<Secret>,
    /// True if the connector knows a platform already.
    known: bool,
    /// Source of the access token, until it is obtained.
    source: Option<TokenSource>,
    token: Option<Bearer>,
    identities: VecDeque<Identity>,
    policies: VecDeque<Policy>,
    names: Names,
}

/// First step that is due, computed from the boot's state each time.
enum Due {
    Command(Secret),
    File(TokenFile),
    Endpoint(TokenEndpoint),
    Provision(Provision),
    Policy(Policy, Credentials),
    Dial,
}

impl Boot {
    /// Starts a boot. The reports name configured steps that are skipped.
    pub fn new(plan: Plan) -> (Boot, Vec<Report>) {
        let wanted = match plan.provisioning {
            Provisioning::Auto => plan.managed || plan.source.is_some(),
            Provisioning::Always => true,
            Provisioning::Never => false,
        };
        let wanted = wanted && plan.credentials.is_none();
        let mut reports = Vec::new();
        if wanted && plan.source.is_none() {
            let why = format!(
                "there is no access token: {}, or set GATEWAY_RELAY_ACCESS_TOKEN or GATEWAY_RELAY_IDP_TOKEN_URL",
                plan.names.give_access_token()
            );
            reports.push(Report::Failed { what: "provisioning".into(), why });
        }
        let provisions = wanted && plan.source.is_some();
        let (source, token) = match plan.source.filter(|_| provisions) {
            Some(TokenSource::Given(token)) => (None, Some(token)),
            other => (other, None),
        };
        let boot = Boot {
            base: plan.base,
            profile: plan.profile,
            credentials: plan.credentials,
            delivery_key: None,
            known: false,
            source,
            token,
            identities: if provisions { plan.identities.into() } else { VecDeque::new() },
            policies: plan.policies.into_iter().filter(Policy::is_set).collect(),
            names: plan.names,
        };
        (boot, reports)
    }

    fn due(&self) -> Due {
        match (&self.source, &self.token, self.identities.front()) {
            (Some(TokenSource::Command(command)), _, _) => return Due::Command(command.clone()),
            (Some(TokenSource::File(file)), _, _) => return Due::File(file.clone()),
            (Some(TokenSource::Endpoint(endpoint)), _, _) => return Due::Endpoint(endpoint.clone()),
            (_, Some(token), Some(identity)) => {
                return Due::Provision(Provision {
                    base: self.base.clone(),
                    access_token: token.clone(),
                    profile: self.profile.clone(),
                    identity: identity.clone(),
                });
            }
            (Some(TokenSource::Given(_)) | None, _, _) => {}
        }
        match (self.policies.front(), &self.credentials) {
            (Some(policy), Some(credentials)) => Due::Policy(policy.clone(), credentials.clone()),
            // Without credentials the connector cannot know which gateway a policy belongs to.
            (Some(_), None) | (None, _) => Due::Dial,
        }
    }

    /// Returns the next step. Upgrade tokens are minted at `unix_s`.
    pub fn next(&self, unix_s: u64) -> Step {
        match self.due() {
            Due::Command(command) => Step::Run(command),
            Due::File(file) => Step::Read(file),
            Due::Endpoint(endpoint) => Step::Send(endpoint.request()),
            Due::Provision(provision) => Step::Send(provision.request()),
            Due::Policy(policy, credentials) => {
                match policy.request(&self.base, &Bearer::mint(&credentials, unix_s)) {
                    Some(request) => Step::Send(request),
                    // `new` has left out policies without a field.
                    None => self.dial(),
                }
            }
            Due::Dial => self.dial(),
        }
    }

    fn dial(&self) -> Step {
        if self.known && self.credentials.is_none() {
            let (host, gateway_id) = (self.base.host().to_owned(), self.profile.gateway_id.clone());
            return Step::Known(KnownAlready { host, gateway_id, names: self.names });
        }
        Step::Dial {
            credentials: self.credentials.clone(),
            delivery_key: self.delivery_key.clone(),
            unsent: self.policies.iter().map(|policy| policy.platform.clone()).collect(),
        }
    }

    /// Handles the output of the command, or the reason of its failure.
    pub fn printed(&mut self, output: Result<&[u8], String>) -> Report {
        let Due::Command(_) = self.due() else {
            return Report::Nothing;
        };
        let token =
            output.and_then(|output| access_token::from_output(output).map_err(|error| error.to_string()));
        self.identified(token.map_err(|why| format!("the access token command: {why}")))
    }

    /// Handles the content of the file at `unix_s`, or the reason that it cannot be read.
    pub fn read(&mut self, content: Result<&[u8], String>, unix_s: u64) -> Report {
        let Due::File(file) = self.due() else {
            return Report::Nothing;
        };
        let token = match content {
            Ok(content) => file.read(content, unix_s),
            Err(why) => Err(file.unreadable(why)),
        };
        self.identified(token.map_err(|error| error.to_string()))
    }

    /// Handles the response to the request, or its failure.
    pub fn answered(&mut self, answer: HttpResult<'_>) -> Report {
        match self.due() {
            Due::Endpoint(endpoint) => {
                let token = match answer {
                    Ok((status, headers, body)) => endpoint.read(status, headers, body),
                    Err(failure) => Err(failure.into()),
                };
                self.identified(token.map_err(|error| error.to_string()))
            }
            Due::Provision(provision) => {
                self.identities.pop_front();
                let platform = provision.identity.platform.clone();
                let provisioned = match answer {
                    Ok((status, headers, body)) => provision.read(status, headers, body),
                    Err(failure) => Err(failure.into()),
                };
                match provisioned {
                    Ok(Provisioned::Issued(issued)) => {
                        self.issued(issued);
                        Report::Provisioned(platform, true)
                    }
                    Ok(Provisioned::Known) => {
                        self.known = true;
                        Report::Provisioned(platform, false)
                    }
                    Err(error) => failed(format!("provisioning {platform}"), error.to_string()),
                }
            }
            Due::Policy(policy, credentials) => {
                self.policies.pop_front();
                let taken = answer
                    .and_then(|(status, headers, body)| {
                        policy.read(&self.base, &credentials, status, headers, body)
                    })
                    .map_err(|failure| failure.to_string());
                match taken {
                    Ok(()) => Report::Policy(policy.platform),
                    Err(why) => failed(format!("the policy for {}", policy.platform), why),
                }
            }
            Due::Command(_) | Due::File(_) | Due::Dial => Report::Nothing,
        }
    }

    fn identified(&mut self, token: Result<Bearer, String>) -> Report {
        self.source = None;
        match token {
            Ok(token) => {
                self.token = Some(token);
                Report::AccessToken
            }
            Err(why) => {
                self.identities.clear();
                failed("provisioning".into(), why)
            }
        }
    }

    /// Keeps the credentials that were issued last.
    fn issued(&mut self, issued: Issued) {
        self.credentials = Some(issued.credentials);
        self.delivery_key = issued.delivery_key.or(self.delivery_key.take());
    }
}

fn failed(what: String, why: String) -> Report {
    Report::Failed { what, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Unreachable, policy};
    use crate::url::DialUrl;

    fn plan() -> Plan {
        let identities = ["discord", "slack"].map(|name| Identity::new(name, ""));
        Plan {
            base: Base::new(&DialUrl::parse("wss://c.example").unwrap(), false).unwrap(),
            credentials: None,
            provisioning: Provisioning::Auto,
            managed: false,
            source: Some(TokenSource::Command("print-token".into())),
            profile: Profile::new("gw-1"),
            policies: policy::parse(r#"{"platform":"slack","allowOtherBots":true}"#, &identities).unwrap(),
            identities: identities.to_vec(),
            names: Names::Flags,
        }
    }

    fn credentials(secret: &str) -> Credentials {
        Credentials::new("gw-1", secret)
    }

    /// A whole boot, each answer a status and a body: the last parts of the URLs asked for, how many reports are of
    /// failures, and the secret that is dialed with.
    fn run(plan: Plan, answers: &[(u16, &str)]) -> (Vec<String>, usize, Option<String>) {
        let (mut boot, mut reports) = Boot::new(plan);
        let (mut asked, mut answers) = (Vec::new(), answers.iter());
        loop {
            reports.push(match boot.next(1000) {
                Step::Run(command) => {
                    assert_eq!(command.expose(), "print-token");
                    asked.push("run".into());
                    boot.printed(Ok(b"acc3ss\n"))
                }
                Step::Read(file) => {
                    asked.push(file.path().to_owned());
                    let content = answers.next().unwrap();
                    boot.read(Ok(content.1.as_bytes()), 1000)
                }
                Step::Send(request) => {
                    asked.push(request.url.rsplit('/').next().unwrap().to_owned());
                    match answers.next().unwrap() {
                        (0, _) => {
                            let cause = Unreachable::Connect("refused".into());
                            boot.answered(Err(request.unreachable(cause)))
                        }
                        (status, body) => boot.answered(Ok((*status, &HeaderMap::new(), body.as_bytes()))),
                    }
                }
                Step::Dial { credentials, .. } => {
                    let failures = reports.iter().filter(|r| matches!(r, Report::Failed { .. })).count();
                    let secret = credentials.map(|credentials| credentials.secret.expose().to_owned());
                    return (asked, failures, secret);
                }
                Step::Known(_) => {
                    let failures = reports.iter().filter(|r| matches!(r, Report::Failed { .. })).count();
                    return (asked, failures, Some("known already".to_owned()));
                }
            });
        }
    }

    #[test]
    fn a_boot_dials_whatever_step_fails() {
        let given = || Some(TokenSource::Given(Bearer::new(&Secret::from("t")).unwrap()));
        let in_file = || {
            let file = TokenFile::new("login.json".to_owned(), Vec::new());
            Plan { source: Some(TokenSource::File(file)), ..plan() }
        };
        let (a, b, known) =
            ((200, r#"{"secret":"a"}"#), (200, r#"{"secret":"b"}"#), (200, r#"{"secretIssued":false}"#));
        let taken = (200, "{}");
        for (plan, answers, asked, failures, secret) in [
            // The last secret counts, and the policy is sent with it.
            (plan(), &[a, b, taken][..], "run provision provision policy", 0, Some("b")),
            (plan(), &[a, known, taken], "run provision provision policy", 0, Some("a")),
            (plan(), &[known, b, taken], "run provision provision policy", 0, Some("b")),
            // H-4: without a secret no dial would be accepted, whatever happened to the other platform.
            (plan(), &[known, known], "run provision provision", 0, Some("known already")),
            (plan(), &[known, (500, "")], "run provision provision", 1, Some("known already")),
            (plan(), &[(0, ""), known], "run provision provision", 1, Some("known already")),
            // One platform's failure does not stop the other, and a policy's failure does not stop the dial.
            (plan(), &[(0, ""), b, (500, "")], "run provision provision policy", 2, Some("b")),
            (plan(), &[(403, ""), (0, "")], "run provision provision", 2, None),
            // H-8: from a file, which may be outdated.
            (in_file(), &[(0, "acc3ss"), a, b, taken], "login.json provision provision policy", 0, Some("b")),
            (in_file(), &[(0, "two words")], "login.json", 1, None),
            // Configured credentials are respected, whatever was requested.
            (
                Plan { credentials: Some(credentials("set")), provisioning: Provisioning::Always, ..plan() },
                &[taken],
                "policy",
                0,
                Some("set"),
            ),
            (Plan { provisioning: Provisioning::Never, managed: true, ..plan() }, &[], "", 0, None),
            (Plan { source: None, ..plan() }, &[], "", 0, None),
            // Without an access token, no gateway can be provisioned.
            (Plan { source: None, managed: true, ..plan() }, &[], "", 1, None),
            (Plan { source: None, provisioning: Provisioning::Always, ..plan() }, &[], "", 1, None),
            // A policy without any field is not sent.
            (
                Plan { source: given(), policies: Vec::new(), ..plan() },
                &[a, b],
                "provision provision",
                0,
                Some("b"),
            ),
        ] {
            let expected: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
            let secret = secret.map(str::to_owned);
            assert_eq!(run(plan.clone(), answers), (expected, failures, secret), "{plan:?} {answers:?}");
        }
    }

    #[test]
    fn without_an_access_token_nothing_is_provisioned() {
        for (output, why) in [
            (Err("exit status 1".to_owned()), "the access token command: exit status 1"),
            (Ok(&b""[..]), "the access token command: the access token is empty"),
        ] {
            let (mut boot, _) = Boot::new(plan());
            let report = boot.printed(output);
            assert_eq!(report, failed("provisioning".into(), why.into()));
            let unsent = vec!["slack".to_owned()];
            assert_eq!(boot.next(0), Step::Dial { credentials: None, delivery_key: None, unsent });
            assert_eq!(boot.printed(Ok(b"late")), Report::Nothing);
        }
    }
}
