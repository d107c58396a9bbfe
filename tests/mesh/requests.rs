//! Requests that make no sense, and more of them than a node can carry.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rocoin_netsim::harness::NodeOptions;
use serde_json::{Value, json};
use ureq::Agent;

use crate::support::{agreed, bundle, image, serving, start, well_options};

/// A status code, the value of Retry-After, the body.
struct Reply {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

#[test]
fn each_bad_request_gets_its_status_and_its_reason_and_the_node_goes_on() {
    let mesh = serving(1);
    let http = mesh.nodes()[0].announcement().unwrap().http.clone();
    let good = request(|_| {});
    let cases: Vec<(String, u16, &str)> = vec![
        (request(|r| r["inputs"][0]["name"] = json!("picture")), 400, "inputs[0].name is \"picture\""),
        (request(|r| r["inputs"][0]["shape"] = json!([1, 1, 8, 9])), 400, "inputs[0].shape is [1, 1, 8, 9]"),
        (request(|r| r["inputs"][0]["shape"] = json!([2, 1, 8, 8])), 400, "has 64 numbers; its shape has 128"),
        (request(|r| r["inputs"][0]["shape"] = json!([65, 1, 8, 8])), 400, "a batch has 1 to 64 images"),
        (request(|r| r["inputs"][0]["datatype"] = json!("FP64")), 400, "inputs[0].datatype is \"FP64\""),
        (request(|r| r["inputs"][0]["data"][3] = Value::Null), 400, "is null, which is no number"),
        (request(|r| r["inputs"][0]["data"][3] = json!("1")), 400, "which is no number"),
        (request(|r| r["inputs"][0]["data"][3] = json!(1e300)), 400, "3, counted from 0, is 1e300"),
        (request(|r| r["inputs"][0]["data"] = json!([1, 2, 3])), 400, "has 3 numbers; its shape has 64"),
        (request(|r| r["inputs"][0]["data"] = json!(vec![0; 65])), 400, "has 65 numbers; its shape has 64"),
        (request(|r| r["inputs"] = json!([])), 400, "inputs has 0 tensors"),
        (request(|r| r["parameters"]["min_parts"] = json!(4)), 400, "min_parts is 4; it has to be 1 to 3"),
        (request(|r| r["parameters"]["min_parts"] = json!(0)), 400, "min_parts is 0"),
        (request(|r| r["parameters"]["mode"] = json!("some")), 400, "expected one of `all`, `hedged`, `verify`"),
        (request(|r| r["parameters"]["deadline_ms"] = json!(0)), 400, "the deadline is"),
        (request(|r| r["parameters"]["deadline_ms"] = json!(3_600_000)), 400, "at most 60000 ms"),
        (good.replacen("[0.0", "[NaN", 1), 400, "NaN is no JSON"),
        (good[..good.len() / 2].to_owned(), 400, "EOF"),
        (String::new(), 400, "EOF"),
    ];
    for (body, status, reason) in cases {
        let reply = post(&http, bundle().name(), &body);
        let shown: String = body.chars().take(200).collect();
        assert_eq!(reply.status, status, "{shown}: {}", reply.body);
        let message = reply.body["error"].as_str().unwrap_or_else(|| panic!("{shown}: {}", reply.body));
        assert!(message.contains(reason), "{shown}: {message}");
    }
    let reply = post(&http, "another", &good);
    assert_eq!(reply.status, 404);
    assert!(reply.body["error"].as_str().unwrap().contains("\"another\" is not served here; \"tiny\" is"));
    let reply = post(&http, bundle().name(), &good);
    assert_eq!((reply.status, &reply.body["parameters"]["degraded"]), (200, &json!(false)));
    assert_eq!(reply.body["id"], "mine");
}

#[test]
fn a_body_beyond_its_bound_is_refused_before_it_is_all_read() {
    const BYTES: usize = 17 << 20;
    let mesh = serving(1);
    let http = mesh.nodes()[0].announcement().unwrap().http.clone();
    let mut stream = TcpStream::connect(&http).unwrap();
    let path = format!("/v2/models/{}/infer", bundle().name());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/json\r\nContent-Length: {BYTES}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The node stops reading and answers, so that not all can be written.
    let _ = stream.write_all(&vec![b' '; BYTES]);
    let mut reply = vec![0; 12];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(String::from_utf8_lossy(&reply), "HTTP/1.1 413");
    assert_eq!(post(&http, bundle().name(), &request(|_| {})).status, 200);
}

#[test]
fn before_anything_is_deployed_a_node_says_so() {
    let mesh = start(1);
    let http = mesh.nodes()[0].announcement().unwrap().http.clone();
    let reply = post(&http, bundle().name(), &request(|_| {}));
    assert_eq!(reply.status, 404);
    assert!(reply.body["error"].as_str().unwrap().contains("none is"), "{}", reply.body);
}

#[test]
fn overload_is_refused_at_once_with_a_time_to_retry_and_passes() {
    const CLIENTS: usize = 96;
    let mut mesh = start(0);
    let seconds_a_run = 0.2;
    let node = mesh
        .start(NodeOptions {
            emulate_flops_per_s: Some(bundle().smallest_flops() / seconds_a_run),
            ..well_options("slow")
        })
        .unwrap();
    mesh.deploy(&bundle().path()).unwrap();
    agreed(&mesh);
    let http = mesh.nodes()[node].announcement().unwrap().http.clone();
    let body = request(|r| r["parameters"]["deadline_ms"] = json!(8_000));
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| post(&http, bundle().name(), &body))).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let with = |status: u16| replies.iter().filter(|r| r.status == status).count();
    println!("{CLIENTS} at once: {} answered, {} refused, {} too late", with(200), with(503), with(504));
    assert!(with(200) > 0 && with(503) > 0, "some are answered, some refused");
    assert!(with(504) <= CLIENTS / 8, "whoever has to wait too long is told so, not kept waiting: {}", with(504));
    for reply in &replies {
        assert!(matches!(reply.status, 200 | 503 | 504), "{}: {}", reply.status, reply.body);
        if reply.status == 503 {
            let seconds: u64 = reply.retry_after.as_deref().unwrap().parse().unwrap();
            assert!(seconds >= 1);
            assert!(reply.body["error"].as_str().unwrap().contains("overloaded"), "{}", reply.body);
        }
    }
    let client = mesh.nodes()[node].client().unwrap();
    assert!(!bundle().ask(&client, &image(2)).unwrap().is_degraded());
}

/// A good request, changed.
fn request(change: impl FnOnce(&mut Value)) -> String {
    let mut request = json!({
        "id": "mine",
        "inputs": [{ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": vec![0.0; 64] }],
        "parameters": { "deadline_ms": 10_000 },
    });
    change(&mut request);
    request.to_string()
}

fn post(http: &str, model: &str, body: &str) -> Reply {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let url = format!("http://{http}/v2/models/{model}/infer");
    let mut response = agent.post(url).header("Content-Type", "application/json").send(body).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    Reply {
        status: response.status().as_u16(),
        retry_after: response.headers().get("Retry-After").map(|v| v.to_str().unwrap().to_owned()),
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}
