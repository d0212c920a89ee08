//! Files of messages.

use super::Acp;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;

on_one_runtime! {
    an_image_is_passed_to_an_agent_that_takes_images every_other_file_is_a_link_to_a_local_file,
    the_channels_context_comes_first a_file_that_is_gone_is_named,
}

/// Serves a file once. Returns its URL.
fn serve(status: &'static str, content_type: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/f", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let _ = client.read(&mut head).unwrap();
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
    });
    url
}

fn media(url: &str, kind: &str, mime: &str, filename: &str) -> Value {
    json!({ "media_urls": [url], "media": [{ "url": url, "kind": kind, "mime": mime, "filename": filename }] })
}

fn an_image_is_passed_to_an_agent_that_takes_images(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut acp = Acp::start(runtime, &["--media-dir", folder.path().to_str().unwrap()], &["image"]);
    acp.say_with("", media(&serve("200 OK", "image/png", "png"), "image", "image/png", "a.png"));
    // Without a text the agent's script is empty: it says what it got by the next message.
    acp.texts();
    acp.say_with("blocks", media(&serve("200 OK", "image/png", "png"), "image", "image/png", "a.png"));
    assert_eq!(acp.last_text(), "text, image image/png cG5n");
    // They are kept: an image beyond the budget is a link.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

fn every_other_file_is_a_link_to_a_local_file(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut acp = Acp::start(runtime, &["--media-dir", folder], &[]);
    acp.say_with(
        "blocks",
        media(&serve("200 OK", "text/plain", "the plan"), "document", "text/plain", "plan.txt"),
    );
    assert_eq!(acp.last_text(), "text, link plan.txt the plan");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    assert!(file.to_str().unwrap().ends_with("-1-plan.txt"), "{file:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "the plan");
}

fn a_file_that_is_gone_is_named(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say_with(
        "blocks",
        media(&serve("404 Not Found", "text/plain", ""), "document", "text/plain", "plan.txt"),
    );
    // The script is in the last block that is a text.
    assert!(acp.last_text().contains("The file \"plan.txt\" of this message is not available."));
    acp.program.logged("acp_file_failed");
}

fn the_channels_context_comes_first(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    let context = json!([{ "text": "earlier", "source": { "user_name": "ada" } }]);
    acp.say_with("blocks", json!({ "context": context }));
    assert_eq!(acp.last_text(), "text, text");
}
