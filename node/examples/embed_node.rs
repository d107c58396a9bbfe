//! A device inside another program: it is a full member of the mesh, serves a bundle and answers without HTTP in between.
//!
//! ```sh
//! cargo run --release -p rocoin-node --example embed_node -- models/bundles/fashion-mnist
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it finds")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rocoin::blob::Blob;
use rocoin::inference::{Request, RequestError};
use rocoin_models::bundle_dir::BundleDir;
use rocoin_node::config::Settings;
use rocoin_node::device::{Device, DeviceHandle};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("usage: embed_node BUNDLE")?;
    let bundle = BundleDir::open(Path::new(&path))?;

    // What a config file or flags would say. A real fleet has a key: `fleet_key_file` in place of `open`.
    let state = tempfile::tempdir()?;
    let settings = Settings {
        name: Some("embedded".to_owned()),
        state_dir: Some(state.path().to_owned()),
        http: Some("127.0.0.1:0".parse()?),
        open: Some(true),
        no_mdns: Some(true),
        ..Settings::default()
    };
    let device = Device::start(settings.resolve()?).await?;
    println!("{} computes {:.1} GFLOP/s", device.id, device.capability.flops_per_s / 1e9);

    deploy(&device, &bundle).await?;
    let mut image = Vec::new();
    for pixel in 0..bundle.manifest().input.elements() {
        image.extend(f32::from(u8::try_from(pixel % 251)?).to_le_bytes());
    }
    let answered = loop {
        let request = Request {
            input: Blob::from(image.clone()),
            deadline: Duration::from_secs(5),
            min_parts: bundle.manifest().parts.len(),
            mode: None,
        };
        match device.node.request(request).await {
            Ok(answered) => break answered,
            // Until the first plan is made and its students are loaded, nobody can answer.
            Err(RequestError::NoReplica { .. } | RequestError::NotServing) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Err(error) => return Err(error.into()),
        }
    };
    let logits = &answered.answer.logits;
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).context("no class")?;
    println!(
        "{} of {} parts say: {}",
        answered.answer.parts.len(),
        bundle.manifest().parts.len(),
        answered.manifest.labels[best]
    );

    device.node.drain().await?;
    Ok(())
}

/// Puts everything into the device's store and has the mesh serve it. Others fetch from there what is planned for them.
async fn deploy(device: &DeviceHandle, bundle: &BundleDir) -> anyhow::Result<()> {
    for card in bundle.manifest().parts.iter().flat_map(|part| &part.students) {
        device.store.put(card.digest, &bundle.student(card)?)?;
    }
    device.store.put(bundle.digest(), bundle.manifest_json())?;
    ensure!(device.store.held().contains_key(&bundle.digest()), "the manifest is not in the store");
    Ok(device.node.deploy(bundle.digest(), Arc::new(bundle.manifest().clone())).await?)
}
