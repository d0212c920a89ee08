//! Every public type that holds a secret has a value in [`values`](super::values).

use super::sources::declared;
use super::values::shown;
use std::collections::BTreeSet;

/// Types that hold secrets themselves. A type with a field of one of these holds secrets, too.
const HOLDERS: &[&str] = &[
    "Secret",
    "Zeroizing",
    "Bearer",
    "Credentials",
    "Issued",
    "TokenSource",
    "TokenEndpoint",
    "Proxy",
    "Proxies",
    "Network",
    "Plan",
    "Config",
    "GatewayConfig",
    "EnrollToken",
    "GatewayAccount",
    "ConnectorConfig",
    "DurableState",
    "GatewayState",
    "SecretState",
    "TokenState",
    "EnvFile",
    "ConfigFile",
    "Arguments",
    "Contents",
];

#[test]
fn c_4_every_public_type_with_a_secret_is_tested() {
    let shown: BTreeSet<(String, String)> =
        shown().into_iter().map(|shown| (shown.package, shown.name)).collect();
    let mut missing = String::new();
    for found in declared().iter().filter(|found| found.is_public) {
        let holds =
            HOLDERS.contains(&found.name.as_str()) || HOLDERS.iter().any(|holder| found.names(holder));
        if holds && !shown.contains(&(found.package().to_owned(), found.name.clone())) {
            missing += &format!("{}: {}\n", found.file, found.name);
        }
    }
    assert!(missing.is_empty(), "show each of these in values.rs:\n{missing}");
}
