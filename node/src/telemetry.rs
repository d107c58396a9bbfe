//! Logs: text or JSON on standard error; state changes are at INFO.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// What is logged unless `ROCOIN_LOG` says otherwise: ours, and of the libraries what goes wrong.
const FILTER_DEFAULT: &str = "warn,rocoin=info,rocoin_node=info,libp2p_mdns=error";

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets logging up; `ROCOIN_LOG` takes directives such as `rocoin_node=debug`. A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env("ROCOIN_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER_DEFAULT));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // An error means that somebody has set it up already.
    let _ = match format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
}
