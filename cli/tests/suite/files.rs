//! Files of settings and secrets, and files that cannot grow.

use crate::support::{Program, SOON, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

on_one_runtime! {
    h_9_c_4_the_environment_overrides_an_env_file h_9_a_configuration_file_has_every_flag,
}

/// A folder of files that only this user can read.
struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, text) in files {
            fs::write(place.path(name), text).unwrap();
            place.mode(name, 0o600);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn hello(connector: &EmbeddedConnector) -> String {
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    let Observation::Frame { frame, .. } = connector.wait_for(hello, SOON).unwrap() else {
        panic!("a frame")
    };
    format!("{}:{}", frame["platform"].as_str().unwrap(), frame["botId"].as_str().unwrap())
}

/// H-9, C-4: flags override the environment, which overrides the env file. None of its secrets reaches the agent.
fn h_9_c_4_the_environment_overrides_an_env_file(runtime: &str) {
    let connector =
        EmbeddedConnector::start(ConnectorConfig::default().gateway("gw-1", "it's s3cret"), "127.0.0.1:0")
            .unwrap();
    let text = format!(
        "# mine\nexport GATEWAY_RELAY_URL='{}'\nGATEWAY_RELAY_ID=gw-1\nGATEWAY_RELAY_SECRET=\"it's s3cret\" # keep\n\
         GATEWAY_RELAY_PLATFORM=slack\nGATEWAY_RELAY_BOT_ID=\"1\"\nOTHER_KEY=é\n",
        connector.url()
    );
    let place = Place::new(&[("gw.env", &text), ("seen", "")]);
    let script = format!("env > {}; cat > /dev/null", place.path("seen").display());
    let mut command = relayline(["run", "--runtime", runtime, "--platform", "discord", "--env-file"]);
    command.arg(place.path("gw.env")).args(["--exec", "sh", "-c", &script]).env("GATEWAY_RELAY_BOT_ID", "2");
    let run = Program::start(command);
    assert_eq!(hello(&connector), "discord:2");
    run.terminate();
    let ended = run.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let seen = fs::read_to_string(place.path("seen")).unwrap();
    assert!(seen.contains("PATH=") && !seen.contains("s3cret") && !seen.contains("OTHER_KEY"), "{seen}");
    assert!(!ended.stderr.contains("WARN") && !ended.stderr.contains("s3cret"), "{}", ended.stderr);

    // The commands for single steps read it, too.
    for command in ["doctor", "provision"] {
        let mut command = relayline([command, "--runtime", runtime, "--env-file"]);
        command.arg(place.path("gw.env"));
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let mut policy =
        relayline(["policy", "--runtime", runtime, "--policy", r#"{"requireAddress":true}"#, "--env-file"]);
    policy.arg(place.path("gw.env"));
    assert_eq!(Program::start(policy).ended().stdout, "the policy for slack: accepted\n");
    let mut missing = relayline(["run", "--env-file"]);
    missing.arg(place.path("missing"));
    let ended = Program::start(missing).ended();
    let expected = format!(
        "relayline: --env-file {}: No such file or directory (os error 2)\n",
        place.path("missing").display()
    );
    assert_eq!((ended.code, ended.stderr), (Some(2), expected));
}

/// H-9: a key with a flag's name has the flag's meaning, and the flag overrides it. Log lines are JSON of one shape,
/// with numbers as numbers.
fn h_9_a_configuration_file_has_every_flag(runtime: &str) {
    let connector =
        EmbeddedConnector::start(ConnectorConfig::default().gateway("gw-1", "s3cret"), "127.0.0.1:0")
            .unwrap();
    let text = format!(
        "url = \"{}\"\ngateway-id = \"gw-1\"\nsecret-file = \"secret\"\nenv-file = \"gw.env\"\nruntime = \"{runtime}\"\n\
         verbose = 2\nlog-format = \"json\"\nmetrics = \"127.0.0.1:0\"\nauto-ack = true\nplatform = \"irc\"\n\
         exec = [\"sh\", \"-c\", \"cat >> seen\"]\n",
        connector.url()
    );
    let place = Place::new(&[
        ("a.toml", &text),
        ("secret", "s3cret\n"),
        ("gw.env", "GATEWAY_RELAY_PLATFORM=slack\n"),
    ]);
    let mut command = relayline(["run", "--bot-id", "7", "--config"]);
    command.arg(place.path("a.toml")).current_dir(place.0.path());
    let mut run = Program::start(command);
    assert_eq!(hello(&connector), "slack:7");
    let event = serde_json::json!({ "text": "hi", "source": { "platform": "slack", "chat_id": "1" } });
    connector
        .control(Act::Inbound { event: event.as_object().unwrap().clone(), buffered: Some(true) })
        .unwrap();
    let ack =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "inbound_ack");
    connector.wait_for(ack, SOON).unwrap();
    run.terminate();
    run.wait();
    let ended = run.ended();
    assert!(fs::read_to_string(place.path("seen")).unwrap().contains("\"hi\""));
    let (mut numbers, mut spans) = (0, 0);
    for line in ended.stderr.lines().filter(|line| line.starts_with('{')) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        assert!(line["spans"].is_array() && line.get("span").is_none(), "{line}");
        spans += line["spans"].as_array().unwrap().len();
        for name in ["after_ms", "by", "conn", "code", "retry_in_ms", "seconds"] {
            if let Some(value) = line.get(name).filter(|value| !value.is_null()) {
                assert!(value.is_number(), "{line}");
                numbers += 1;
            }
        }
    }
    assert!(spans > 0 && ended.stderr.contains("metrics_listening"), "{numbers} {}", ended.stderr);

    let wrong = [
        ("metrics = [\"a\"]", ":1: metrics: write one text"),
        ("secret = \"a\"\nsecret-file = \"b\"", ":2: write secret or secret-file, not both"),
        ("secret-file = \"missing\"", ":1: secret-file "),
    ];
    for (text, expected) in wrong {
        let place = Place::new(&[("a.toml", text)]);
        let mut command = relayline(["run", "--runtime", runtime, "--url", "ws://127.0.0.1:9", "--config"]);
        command.arg(place.path("a.toml"));
        let ended = Program::start(command).ended();
        let expected = format!("relayline: {}{expected}", place.path("a.toml").display());
        assert!(ended.stderr.starts_with(&expected), "{expected}: {}", ended.stderr);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1));
    }
}

/// C-4: each file with a secret that others can read causes a warning with advice.
#[test]
fn c_4_h_9_a_readable_secret_causes_a_warning() {
    let warned = |args: &[&str], secret_in: &Path, what: &str| {
        for (mode, is_warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(secret_in, fs::Permissions::from_mode(mode)).unwrap();
            let mut command = relayline(["policy", "--url", "ws://127.0.0.1:9", "--provision", "never"]);
            command.args(args);
            let ended = Program::start(command).ended();
            let file = secret_in.display();
            let expected =
                format!("{what}: others on this machine can read it (mode {mode:04o}): chmod 600 {file}");
            assert_eq!(ended.stderr.contains(&expected), is_warned, "{expected}: {}", ended.stderr);
            assert_eq!(
                ended.stderr.matches("can read it").count(),
                usize::from(is_warned),
                "{}",
                ended.stderr
            );
        }
    };
    let env = "GATEWAY_RELAY_ID=gw-1\nGATEWAY_RELAY_SECRET=s\n";
    let toml = "gateway-id = \"gw-1\"\nsecret-file = \"secret\"\n";
    let place = Place::new(&[("secret", "s"), ("key", "k"), ("gw.env", env), ("a.toml", toml)]);
    let [secret, key, env, toml] = ["secret", "key", "gw.env", "a.toml"].map(|name| place.path(name));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let by_flag = format!("--secret-file {}", secret.display());
    warned(&["--gateway-id", "gw-1", "--secret-file", &text(&secret)], &secret, &by_flag);
    let by_flag = format!("--delivery-key-file {}", key.display());
    warned(&["--delivery-key-file", &text(&key)], &key, &by_flag);
    warned(&["--env-file", &text(&env)], &env, &format!("{}:2: GATEWAY_RELAY_SECRET", env.display()));
    let by_key = format!("{}:2: secret-file {}", toml.display(), secret.display());
    warned(&["--config", &text(&toml)], &secret, &by_key);

    // Commands that need only a secret warn, too.
    place.mode("secret", 0o644);
    let mut token = relayline(["token", "--gateway-id", "gw-1", "--secret-file"]);
    token.arg(&secret);
    let ended = Program::start(token).ended();
    assert!(ended.stderr.contains("others on this machine can read it (mode 0644)"), "{ended:?}");
}

/// Runs the program in a shell with a file size limit of zero, with its output in files.
fn without_room(arguments: &str, folder: &Path) -> Output {
    let script = format!("ulimit -c 0; ulimit -f 0; exec {} {arguments}", env!("CARGO_BIN_EXE_relayline"));
    Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap()
}

/// A file size limit of the shell is an error with exit code 1, not a fatal signal, for every file that is written.
#[test]
fn a_file_that_cannot_grow_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let output = without_room("simulate --seeds 3 --profile calm --record", folder.path());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("File too large"), "{}", said(&output));

    let output = without_room("token --gateway-id gw-1 --secret-file secret > out", folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    fs::write(folder.path().join("secret"), "s").unwrap();
    let output = without_room("token --gateway-id gw-1 --secret-file secret > out", folder.path());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("standard output: File too large"), "{}", said(&output));

    // The log cannot be written, and nothing else changes.
    let output = without_room("run --url nowhere 2> log", folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let run = format!("run -vv --url {} --exec true 2> log2", connector.url());
    let output = without_room(&run, folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // The first line of the recording is written when a gateway dials.
    let script = format!(
        "ulimit -c 0; ulimit -f 0; exec {} record --upstream {} --out session.jsonl",
        env!("CARGO_BIN_EXE_relayline"),
        connector.url()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path());
    let mut record = Program::start(command);
    let line: serde_json::Value = serde_json::from_str(&record.line().unwrap()).unwrap();
    let run = relayline(["run", "--url", line["listening"].as_str().unwrap(), "--exec", "true"]);
    assert_eq!(Program::start(run).ended().code, Some(0));
    record.terminate();
    let ended = record.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("File too large") && ended.stderr.contains("are missing"), "{ended:?}");
}
