//! Which node a command talks to.

use std::path::PathBuf;

use clap::Args;
use rocoin_netsim::harness::Client;

use crate::files::read_secret;

/// Which node a command talks to: any node will do.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// The node's HTTP interface
    #[arg(long, env = "ROCOIN_HTTP", value_name = "HOST:PORT", default_value = "127.0.0.1:8470")]
    node: String,
    /// File with the token that the node asks for
    #[arg(long, env = "ROCOIN_HTTP_TOKEN_FILE", value_name = "FILE")]
    http_token_file: Option<PathBuf>,
}

impl Target {
    /// Where that node is.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Whether it is asked with a token.
    pub(super) fn has_token(&self) -> bool {
        self.http_token_file.is_some()
    }

    /// A client of that node.
    ///
    /// # Errors
    /// If the token cannot be read.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        self.client_of(&self.node)
    }

    /// A client of another node, with the same token.
    ///
    /// # Errors
    /// If the token cannot be read.
    pub(super) fn client_of(&self, node: &str) -> anyhow::Result<Client> {
        let token = self.http_token_file.as_deref().map(read_secret).transpose()?;
        Ok(Client::new(node, token.map(|text| text.trim().to_owned())))
    }
}
