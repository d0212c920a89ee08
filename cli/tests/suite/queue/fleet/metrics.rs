//! `work --metrics`: the page of a worker.

use super::Fleet;
use crate::metrics::page;
use crate::support::{Program, SOON, relayline};
use std::time::{Duration, Instant};

/// Lines of a page, which change while the worker runs.
const IDLE: [&str; 6] = [
    "relayline_worker_led 1",
    "relayline_worker_epoch 1",
    "relayline_worker_server_connected 1",
    "relayline_worker_jobs 1",
    "relayline_worker_agents 1",
    "relayline_worker_hand_outs_total 0",
];

/// Returns the page once it has all of these lines.
#[track_caller]
fn page_with(worker: &Program, lines: &[&str]) -> String {
    let until = Instant::now() + SOON;
    loop {
        let page = page(worker);
        let missing: Vec<&&str> =
            lines.iter().filter(|line| !page.lines().any(|one| one == **line)).collect();
        if missing.is_empty() {
            return page;
        }
        assert!(Instant::now() < until, "{missing:?} are missing:\n{page}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Agent that acknowledges its first message once there is a file, and then fails.
const FAILS_ONCE: &str = r#"
    while read -r line; do
        case "$line" in *'"event":"message"'*)
            until [ -e "$0" ]; do sleep 0.02; done
            echo '{"op":"ack","delivery":1}'
            exit 7;;
        esac
    done"#;

#[test]
fn x_2_the_page_of_a_worker_follows_agents_and_leader() {
    let Some(mut fleet) = Fleet::new("smol") else { return };
    let gateway = fleet.gateway(&[]);
    gateway.logged("connected");
    let go = fleet.stage.path("go");
    let mut command = relayline(["work", "--queue", &fleet.url, "--metrics", "127.0.0.1:0"]);
    command.args(["--set", "worker_heartbeat=200ms", "--set", "worker_patience=3s"]);
    command.args(["--exec", "sh", "-c", FAILS_ONCE]).arg(&go);
    let worker = Program::start(command);
    let idle = page_with(&worker, &IDLE);
    assert!(idle.starts_with("HTTP/1.1 200 OK\r\n") && idle.contains("text/plain; version=0.0.4"), "{idle}");
    for lines in [
        "\n# TYPE relayline_worker_led gauge\nrelayline_worker_led 1\n",
        "\n# HELP relayline_worker_leases_total Leases of this worker.\n# TYPE relayline_worker_leases_total counter\n",
        "\nrelayline_http_closed_by_slot_total 0\n",
    ] {
        assert!(idle.contains(lines), "{lines}: {idle}");
    }

    // A message is handed out, and then settled by an agent that fails.
    fleet.deliver("a", "one");
    page_with(&worker, &["relayline_worker_held 1", "relayline_worker_hand_outs_total 1"]);
    std::fs::write(&go, "").unwrap();
    fleet.is_done();
    let settled = [
        "relayline_worker_held 0",
        "relayline_worker_hand_outs_total 1",
        "relayline_worker_agents 1",
        "relayline_worker_agents_started_total 2",
        "relayline_worker_agents_failed_total 1",
        "relayline_worker_leases_timed_out_total 0",
    ];
    page_with(&worker, &settled);

    // The leader is killed.
    drop(gateway);
    let alone = [
        "relayline_worker_led 0",
        "relayline_worker_epoch 1",
        "relayline_worker_server_connected 1",
        "relayline_worker_leases_total 1",
        "relayline_worker_leases_timed_out_total 1",
    ];
    let page = page_with(&worker, &alone);
    let age = page.lines().find_map(|line| line.strip_prefix("relayline_worker_heartbeat_age_seconds "));
    assert!(age.unwrap().parse::<u64>().unwrap() >= 3, "{page}");

    // And so are the servers.
    let Fleet { stage, _server: server, .. } = fleet;
    drop(server);
    page_with(&worker, &["relayline_worker_server_connected 0", "relayline_worker_server_connects_total 1"]);
    worker.terminate();
    let ended = worker.ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    drop(stage);
}
