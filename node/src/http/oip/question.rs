//! What a client asks: a batch of images, and how it is to be answered.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rocoin::blob::Blob;
use rocoin::inference::{Request, RequestError};

use super::{Answers, Served, Terms, Wanted};
use crate::actor::Answered;
use crate::http::{Api, HttpError};

/// Images of one batch that are asked about at once. Ours: a quarter of a node's open requests, so that one batch leaves room for others, and
/// enough to keep every replica's workers busy.
const ASKED_AT_ONCE: usize = 16;

/// A request, checked against the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    /// The client's own name for it; echoed.
    pub(crate) id: Option<String>,
    /// At least one, each as the model takes it.
    pub(crate) images: Vec<Blob>,
    /// How it is to be answered.
    pub(crate) terms: Terms,
    /// What of the answer is wanted, in that order.
    pub(crate) wanted: Vec<Wanted>,
}

impl Question {
    /// Of its images.
    pub(crate) fn bytes(&self) -> usize {
        self.images.iter().map(Blob::len).sum()
    }

    /// Asks the node about every image, some at once, with this node as the coordinator. Dropping the future cancels what is open.
    ///
    /// # Errors
    /// Of the first image without an answer; the others' answers are dropped then. What was asked for is another version by now:
    /// [`HttpError::UnknownModel`].
    pub(crate) async fn ask(&self, api: &Api, served: &Served) -> Result<Answers, HttpError> {
        let start = Instant::now();
        let result = self.ask_all(api, served).await;
        match &result {
            Ok(answers) => api.statistics.answered(answers, start.elapsed()),
            Err(_) => api.statistics.failed(&served.manifest, start.elapsed()),
        }
        result
    }

    async fn ask_all(&self, api: &Api, served: &Served) -> Result<Answers, HttpError> {
        let until = Instant::now() + self.terms.deadline;
        let images = stream::iter(self.images.iter().cloned().enumerate());
        let asked = images.map(|(at, image)| self.ask_one(api, at, image, until)).buffered(ASKED_AT_ONCE);
        let answered: Vec<Answered> = asked.try_collect().await?;
        let Some(first) = answered.first() else { return Err(HttpError::BadRequest("there is no image".to_owned())) };
        let manifest = Arc::clone(&first.manifest);
        served.name.check(&manifest)?;
        if answered.iter().any(|other| other.answer.bundle != first.answer.bundle) {
            return Err(HttpError::Busy("another bundle took over while this batch was answered"));
        }
        let answers = answered.into_iter().map(|answered| answered.answer).collect();
        Ok(Answers { manifest, answers, explain: self.terms.explain })
    }

    /// The first images are asked about at once and have the whole time; the others what is left when their turn comes.
    async fn ask_one(&self, api: &Api, at: usize, input: Blob, until: Instant) -> Result<Answered, RequestError> {
        let Terms { deadline, min_parts, mode, explain: _ } = self.terms;
        let left = if at < ASKED_AT_ONCE { deadline } else { until.saturating_duration_since(Instant::now()) };
        if left < deadline && left.is_zero() {
            return Err(RequestError::Deadline { served: 0, min_parts });
        }
        api.node.request(Request { input, deadline: left, min_parts, mode }).await
    }
}
