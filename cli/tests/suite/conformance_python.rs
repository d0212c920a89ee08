//! The public Python gateway, through the adapter: exactly the findings of `harness/conformance/python-gateway.txt`.
//!
//! `RELAYLINE_PYTHON_GATEWAY` is a folder with the packages that the adapter names. `.ci/full` installs them.

use crate::support::relayline;
use std::path::{Path, PathBuf};

fn harness(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/conformance").join(file)
}

#[test]
fn the_python_gateway_has_its_known_findings() {
    let Some(packages) = std::env::var_os("RELAYLINE_PYTHON_GATEWAY") else {
        println!("skipped: RELAYLINE_PYTHON_GATEWAY names no folder with the Python gateway");
        return;
    };
    let (adapter, timings) = (harness("adapters/python_gateway.py"), harness("adapters/python_gateway.toml"));
    let known = harness("python-gateway.txt");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut command = relayline(["conformance", "gateway", "--timings", &path(&timings)]);
    command.args(["--expected-failures", &path(&known), "--", "python3", &path(&adapter)]);
    let output = command.env("PYTHONPATH", packages).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
}
