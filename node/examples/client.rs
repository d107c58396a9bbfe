//! A client of any node, with nothing but an HTTP library: the Open Inference Protocol, the next node where one is gone.
//!
//! ```sh
//! cargo run --release -p rocoin-node --example client -- http://127.0.0.1:8470 http://127.0.0.1:8471
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use ureq::Agent;

fn main() -> anyhow::Result<()> {
    let nodes: Vec<String> = std::env::args().skip(1).collect();
    let agent: Agent = Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();

    let (node, models) = first(&nodes, |node| get(&agent, &format!("{node}/api/status")))?;
    let model = models["bundle"]["name"].as_str().with_context(|| format!("{node} serves no model yet"))?.to_owned();
    let (_, metadata) = first(&nodes, |node| get(&agent, &format!("{node}/v2/models/{model}")))?;
    let shape: Vec<usize> = serde_json::from_value(metadata["inputs"][0]["shape"].clone())?;
    let name = &metadata["inputs"][0]["name"];
    println!("{model}: input {name} {shape:?}");

    // A grey image. A dynamic batch is -1 in the metadata; here it is one image.
    let data = vec![128.0; shape[1..].iter().product()];
    let shape: Vec<usize> = std::iter::once(1).chain(shape[1..].iter().copied()).collect();
    let request = json!({
        "inputs": [{"name": name, "datatype": "FP32", "shape": shape, "data": data}],
        // What the client can do with: an answer within half a second, of one part at least.
        "parameters": {"deadline_ms": 500, "min_parts": 1},
    });
    let (node, answer) = first(&nodes, |node| {
        let mut reply = agent.post(format!("{node}/v2/models/{model}/infer")).send_json(&request)?;
        Ok(reply.body_mut().read_json()?)
    })?;
    println!("answered by {node}: {}", answer["outputs"][0]["data"]);
    println!("parts used {}, degraded {}", answer["parameters"]["parts_used"], answer["parameters"]["degraded"]);
    Ok(())
}

fn get(agent: &Agent, url: &str) -> anyhow::Result<Value> {
    Ok(agent.get(url).call()?.body_mut().read_json()?)
}

/// The first node with which it works: any node answers any request, so who is gone does not matter.
fn first(nodes: &[String], ask: impl Fn(&str) -> anyhow::Result<Value>) -> anyhow::Result<(String, Value)> {
    for node in nodes {
        match ask(node) {
            Ok(answer) => return Ok((node.clone(), answer)),
            Err(error) => println!("{node}: {error}; asking the next"),
        }
    }
    bail!("no node answers: give the HTTP addresses of some, e.g. http://127.0.0.1:8470")
}
