//! A client of one node's HTTP interface.

use std::any::Any;
use std::io::{BufReader, ErrorKind, Read as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocoin::inference::Mode;
use rocoin::node::NodeSnapshot;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use super::Place;
use super::told::{self, Told};

/// Beyond a request's own deadline, for the way there and back.
const GRACE: Duration = Duration::from_millis(500);
/// For everything that has no deadline of its own.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a look at a node at most: a thousand members' status is half a megabyte.
const LOOK_BYTES_MAX: u64 = 32 << 20;

/// Why a call to a node failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The node cannot be reached, or the connection broke. Whether it did what was asked is unknown.
    #[error("cannot reach the node at {url}: {reason}")]
    Unreachable {
        /// Which.
        url: String,
        /// Why.
        reason: String,
    },
    /// The node refused.
    #[error("the node at {url} says {status}: {message}")]
    Refused {
        /// Which.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// Its reason.
        message: String,
    },
    /// What it sent makes no sense.
    #[error("the node at {url} sent something unexpected: {what}")]
    Unexpected {
        /// Which.
        url: String,
        /// What.
        what: String,
    },
}

/// One image, and how it is to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Row-major.
    pub image: &'a [f32],
    /// `[C,H,W]` or `[C,L]`.
    pub shape: &'a [usize],
    /// How long an answer may take.
    pub deadline: Duration,
    /// The least number of parts.
    pub min_parts: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// One a class.
    pub logits: Vec<f32>,
    /// The class of the greatest logit.
    pub class: usize,
    /// Its name.
    pub label: String,
    /// The parts that answered.
    pub parts_used: Vec<u64>,
    /// The parts that are lacking.
    pub parts_missing: Vec<u64>,
    /// Who answered for each part used, as identities.
    pub replicas: Vec<String>,
    /// As `term.leader.sequence`.
    pub epoch: Option<String>,
    /// For each part used, when its answer had come to the node that was asked, after the request had.
    pub after: Vec<Duration>,
    /// For each part used, how long its student ran.
    pub run: Vec<Duration>,
    /// How the replicas were asked.
    pub mode: String,
    /// How many were asked.
    pub replicas_asked: u64,
    /// Of those, the ones asked because others were overdue or failed; mode `hedged` alone.
    pub hedges: Option<u64>,
    /// The parts that were verified; mode `verify` alone.
    pub verified_parts: Option<Vec<u64>>,
    /// Whose answers differed; mode `verify` alone.
    pub disagreements: Vec<Disagreement>,
    /// From the call to the answer, as this client saw it.
    pub took: Duration,
}

/// A replica whose answer differed from others of the same student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The part.
    pub part: u64,
    /// Whose answer, as identity.
    pub replica: String,
    /// Whether a majority of at least three said something else.
    pub outvoted: bool,
}

impl Reply {
    /// Whether at least one part is lacking.
    pub fn is_degraded(&self) -> bool {
        !self.parts_missing.is_empty()
    }
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    name: String,
    token: Option<String>,
    place: Option<Arc<dyn Place>>,
    mode: Option<Mode>,
}

impl Client {
    /// For the node whose HTTP interface is at `address`: `host:port`, or a whole `http://` URL.
    pub fn new(address: &str, token: Option<String>) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(CALL_TIMEOUT)).build();
        let base = address.trim_end_matches('/');
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        Self { agent: agent.into(), name: base.clone(), base, token, place: None, mode: None }
    }

    /// The same, but called from there.
    #[must_use]
    pub fn within(mut self, place: Option<Arc<dyn Place>>) -> Self {
        self.name = place.as_ref().map_or_else(|| self.base.clone(), |place| format!("{} in {place:?}", self.base));
        self.place = place;
        self
    }

    /// The same, with every request in this mode rather than in the node's.
    #[must_use]
    pub fn in_mode(self, mode: Option<Mode>) -> Self {
        Self { mode, ..self }
    }

    /// The node's URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What tells this node from others: its URL, and where it runs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the node knows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&self) -> Result<NodeSnapshot, ClientError> {
        let value = self.get("/api/status")?;
        serde_json::from_value(value).map_err(|e| self.unexpected(&e.to_string()))
    }

    /// One look at all that a node tells those who watch it: its status, what happened after the event of that id, as far as it is
    /// kept, and last the requests of the last minute.
    ///
    /// # Errors
    /// [`ClientError`]; unreachable also if that took longer.
    pub fn look(&self, after: Option<&str>, timeout: Duration) -> Result<Vec<Told>, ClientError> {
        let _there = self.enter()?;
        let request = self.authorized(self.agent.get(self.url("/api/events")));
        let request = request.config().timeout_global(Some(timeout)).build();
        let request = match after {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.call().map_err(|e| self.unreachable(&e))?;
        if !response.status().is_success() {
            self.read(Ok(response))?;
            return Err(self.unexpected("no events"));
        }
        let body = BufReader::new(response.into_body().into_reader().take(LOOK_BYTES_MAX));
        told::until("requests", body).map_err(|e| {
            if e.kind() == ErrorKind::InvalidData { self.unexpected(&e.to_string()) } else { self.unreachable(&e) }
        })
    }

    /// The name, version and input shape of the served model.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn model(&self, name: &str) -> Result<Value, ClientError> {
        self.get(&format!("/v2/models/{name}"))
    }

    /// Asks.
    ///
    /// # Errors
    /// [`ClientError`]; unreachable also if the node did not answer within the deadline and a grace.
    pub fn infer(&self, question: &Question<'_>) -> Result<Reply, ClientError> {
        let mut shape = vec![1];
        shape.extend(question.shape);
        let mut parameters = json!({ "deadline_ms": question.deadline.as_millis(), "min_parts": question.min_parts });
        if let Some(mode) = self.mode {
            parameters["mode"] = json!(mode);
        }
        let body = json!({
            "inputs": [{ "name": "image", "shape": shape, "datatype": "FP32", "data": question.image }],
            "parameters": parameters,
        });
        let start = Instant::now();
        let path = format!("/v2/models/{}/infer", question.model);
        let value = self.post(&path, &body, question.deadline + GRACE)?;
        self.reply(&value, start.elapsed()).ok_or_else(|| self.unexpected(&value.to_string()))
    }

    /// Gives the node a bundle, as a tar file's bytes; the upload may take as long as `timeout`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn deploy(&self, tar: &[u8], timeout: Duration) -> Result<Value, ClientError> {
        let _there = self.enter()?;
        let request = self.authorized(self.agent.post(self.url("/api/bundles")));
        let request = request.config().timeout_global(Some(timeout)).build();
        self.read(request.header("Content-Type", "application/x-tar").send(tar))
    }

    /// Sets the node's faults; the whole of them, as `POST /api/faults` takes them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_faults(&self, faults: &Value) -> Result<(), ClientError> {
        self.post("/api/faults", faults, CALL_TIMEOUT).map(|_| ())
    }

    fn reply(&self, value: &Value, took: Duration) -> Option<Reply> {
        let output = |name: &str| value["outputs"].as_array()?.iter().find(|o| o["name"] == name).map(|o| &o["data"]);
        let numbers = |list: &Value| list.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
        let logits: Vec<f32> = serde_json::from_value(output("logits")?.clone()).ok()?;
        let class = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))?;
        let parameters = &value["parameters"];
        Some(Reply {
            class,
            label: output("label")?[0].as_str()?.to_owned(),
            parts_used: numbers(&parameters["parts_used"])?,
            parts_missing: numbers(&parameters["parts_missing"])?,
            replicas: serde_json::from_value(parameters["replicas"].clone()).ok()?,
            epoch: parameters["epoch"].as_str().map(str::to_owned),
            after: numbers(&parameters["after_us"])?.into_iter().map(Duration::from_micros).collect(),
            run: numbers(&parameters["run_us"])?.into_iter().map(Duration::from_micros).collect(),
            mode: parameters["mode"].as_str()?.to_owned(),
            replicas_asked: parameters["replicas_asked"].as_u64()?,
            hedges: parameters["hedges"].as_u64(),
            verified_parts: numbers(&parameters["verified_parts"]),
            disagreements: serde_json::from_value(parameters["disagreements"].clone()).unwrap_or_default(),
            logits,
            took,
        })
    }

    fn get(&self, path: &str) -> Result<Value, ClientError> {
        let _there = self.enter()?;
        self.read(self.authorized(self.agent.get(self.url(path))).call())
    }

    fn post(&self, path: &str, body: &Value, timeout: Duration) -> Result<Value, ClientError> {
        let _there = self.enter()?;
        let request = self.authorized(self.agent.post(self.url(path)));
        self.read(request.config().timeout_global(Some(timeout)).build().send_json(body))
    }

    fn enter(&self) -> Result<Option<Box<dyn Any>>, ClientError> {
        let entered = self.place.as_ref().map(|place| place.enter()).transpose();
        entered.map_err(|e| ClientError::Unreachable { url: self.base.clone(), reason: e.to_string() })
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read(&self, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, ClientError> {
        let mut response = response.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let text = response.body_mut().read_to_string().map_err(|e| self.unreachable(&e))?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let message = value["error"].as_str().map_or(text.as_str(), |e| e).to_owned();
        Err(ClientError::Refused { url: self.base.clone(), status: status.as_u16(), message })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Unreachable { url: self.base.clone(), reason: reason.to_string() }
    }

    fn unexpected(&self, what: &str) -> ClientError {
        ClientError::Unexpected { url: self.base.clone(), what: what.chars().take(200).collect() }
    }
}
