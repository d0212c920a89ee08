//! Properties of every setting in the table.

use super::table::{ALL, CONNECTOR_URL, Kind, Secrecy, Spec};
use super::*;

/// Texts that are invalid for one setting or another, each with a marker.
const WRONG: [&str; 9] = [
    "hunter2",
    "hunter2 hunter2",
    "hunter2\nhunter2",
    "hunter2\u{fffd}",
    "'hunter2'",
    "ftp://hunter2/",
    "https://me:hunter2@c.example",
    "{\"hunter2\": hunter2",
    "#hunter2",
];
/// Values of wrong types in the configuration file, also with a marker.
const MISTYPED: [&str; 7] = [
    "7262345979",
    "726234597972623459797262345979",
    "7262345979.5",
    "[\"hunter2,hunter2\"]",
    "[\"hunter2\", 7262345979]",
    "{ hunter2 = \"hunter2\" }",
    "hunter2",
];

/// Returns all messages about a value of a setting in each of its sources.
fn said(spec: &'static Spec) -> Vec<String> {
    let mut said = Vec::new();
    for value in WRONG {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let env = format!("{}=\"{}\"\n", spec.variable, value.replace('"', "\\\""));
        let keys = [spec.key, spec.file_key].into_iter().filter(|key| !key.is_empty());
        if !spec.flag.is_empty() {
            said.extend(resolved(spec, &given(spec, value), &[], "", ""));
        }
        if spec.variable().is_some() {
            said.extend(resolved(spec, &Arguments::default(), &[(spec.variable, value)], "", ""));
            said.extend(resolved(spec, &Arguments::default(), &[], &env, ""));
        }
        for key in keys {
            let mistyped = MISTYPED.iter().map(|value| (*value).to_owned());
            for value in mistyped.chain([format!("\"{quoted}\"")]) {
                let value = format!("{key} = {value}\n");
                said.extend(resolved(spec, &Arguments::default(), &[], "", &value));
            }
        }
    }
    said
}

/// Resolves with other settings that use the value, and returns every error, warning and `Debug`.
fn resolved(
    spec: &Spec,
    arguments: &Arguments,
    environment: &[(&str, &str)],
    env: &str,
    file: &str,
) -> Vec<String> {
    let mut said = Vec::new();
    let mut environment = environment.to_vec();
    let needed = [
        ("GATEWAY_RELAY_URL", "wss://c.example"),
        ("GATEWAY_RELAY_ID", "gw-1"),
        ("GATEWAY_RELAY_SECRET", "s"),
        ("GATEWAY_RELAY_ENROLL_TOKEN", "t"),
        ("GATEWAY_RELAY_IDP_TOKEN_URL", "https://idp.example"),
    ];
    for (variable, value) in needed {
        if spec.variable != variable {
            environment.push((variable, value));
        }
    }
    let env_file = EnvFile::parse("gw.env", env);
    let config_file = ConfigFile::parse("f.toml", file, &[]);
    said.extend(
        env_file.as_ref().err().into_iter().chain(config_file.as_ref().err()).map(ToString::to_string),
    );
    let environment = look_up(&environment);
    let sources = Sources {
        env_file: env_file.as_ref().ok(),
        config_file: config_file.as_ref().ok(),
        ..Sources::new(arguments, &environment)
    };
    said.push(format!("{sources:?} {sources:#?}"));
    let shown = |debug: String| if spec.secrecy == Secrecy::Credential { debug } else { String::new() };
    match resolve(&sources) {
        Ok(resolved) => said.extend([resolved.warnings.join(" "), shown(format!("{resolved:?}"))]),
        Err(error) => said.extend([error.to_string(), format!("{error:?}")]),
    }
    match enrollment(&sources) {
        Ok(enrollment) => said.extend([enrollment.warnings.join(" "), shown(format!("{enrollment:?}"))]),
        Err(error) => said.extend([error.to_string(), format!("{error:?}")]),
    }
    said
}

/// C-4: no error, warning or `Debug` shows a value that may be secret, whichever source it is wrong in.
#[test]
fn c_4_no_source_of_a_secret_shows_it() {
    let (mut hidden, mut quoted) = (0, 0);
    for spec in ALL.iter().copied().chain([&CONNECTOR_URL]) {
        for said in said(spec) {
            let shows = said.contains("hunter2") || said.contains("7262345979");
            match spec.secrecy {
                Secrecy::Public => quoted += usize::from(shows),
                Secrecy::Sensitive | Secrecy::Credential => {
                    assert!(!shows, "{} {}: {said}", spec.flag, spec.variable);
                    hidden += 1;
                }
            }
        }
    }
    assert!(hidden > 500 && quoted > 50, "{hidden} {quoted}");
}

/// An error about a key's type names the line, the key, and what to write.
#[test]
fn h_9_every_key_says_what_to_write() {
    for key in table::file_keys() {
        let error = ConfigFile::parse("f.toml", &format!("\n{key} = 1979-05-27\n"), &[]).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("f.toml:2: {key}: write ")), "{error}");
    }
}

/// H-9: a setting's default has the same effect as leaving the setting out.
#[test]
fn h_9_defaults_are_those_of_the_table() {
    let usual = run(&Arguments::default(), &[URL]).unwrap();
    for spec in ALL.iter().filter(|spec| !spec.default.is_empty()) {
        assert_eq!(run(&given(spec, spec.default), &[URL]).unwrap(), usual, "{}", spec.flag);
        let other = match spec.kind {
            Kind::Word(words) => words[1],
            _ if matches!(spec.default, "true" | "on") => "false",
            _ => "true",
        };
        let changed = run(&given(spec, other), &[URL]);
        assert_ne!(changed.ok(), Some(usual.clone()), "{}", spec.flag);
    }
}

/// A help text is one or two sentences, and begins with a noun or a verb.
#[test]
fn helps_are_sentences() {
    for Spec { help, .. } in ALL.iter().copied().chain([&CONNECTOR_URL]) {
        assert!(help.ends_with('.') && help.len() < 220, "{help}");
        let first = help.split(' ').next().unwrap();
        assert!(!["What", "Who", "Whether", "How", "Where", "The", "A"].contains(&first), "{help}");
    }
}
