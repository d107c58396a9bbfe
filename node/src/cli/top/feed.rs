//! Looks at a node again and again. Each look is a whole one, with a bound on its time: a node that is gone, hangs or comes back needs
//! no thought, and one that was followed for a week leaves nothing open.

use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

use rocoin_netsim::harness::Client;

use super::Message;
use super::board::{Look, status_of};
use super::places::Places;
use crate::cli::target::Target;

/// A look takes no longer; a node that needs more is overloaded or far away.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// Whom it asks, and how far it has heard.
#[derive(Debug)]
pub(super) struct Feed {
    target: Target,
    places: Places,
    /// Of the node asked last, with the id of the last event that it told.
    client: Option<(String, Client, Option<String>)>,
}

impl Feed {
    /// Others than the target's node are asked only if they may be.
    pub(super) fn new(target: Target, may_roam: bool) -> Self {
        let places = Places::new(target.node(), may_roam);
        Self { target, places, client: None }
    }

    /// One look at the node whose turn it is.
    ///
    /// # Errors
    /// If the token cannot be read. That the node does not answer is part of the look.
    pub(super) fn look(&mut self) -> anyhow::Result<Look> {
        let (place, is_named) = self.places.next();
        let asked = place.to_owned();
        let (client, last) = match self.client.take() {
            Some((of, client, last)) if of == asked => (client, last),
            _ => (self.target.client_of(&asked)?, None),
        };
        let told = client.look(last.as_deref(), LOOK_TIMEOUT);
        let at_ms = now_ms();
        match &told {
            Ok(told) => self.places.answered(is_named, status_of(told).ok().as_ref()),
            Err(_) => self.places.failed(is_named),
        }
        let heard = told.iter().flatten().rev().find_map(|told| told.id.clone());
        self.client = Some((asked.clone(), client, heard.or(last)));
        Ok(Look { at_ms, asked, is_named, told: told.map_err(|e| e.to_string()) })
    }

    /// Looks for ever, from one look to the next after that time, until nobody listens.
    pub(super) fn run(mut self, every: Duration, listener: &Sender<Message>) {
        loop {
            let look = self.look();
            if listener.send(Message::Look(Box::new(look))).is_err() {
                return;
            }
            std::thread::sleep(every);
        }
    }
}

/// Now, ms since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
