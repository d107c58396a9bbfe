//! The command `rocoin`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rocoin_node::cli;

/// Answers neural-network requests on a fleet of small, unreliable devices
#[derive(Debug, Parser)]
#[command(name = "rocoin", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Node(Box<cli::node::NodeArgs>),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Node(args) => cli::node::run(*args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::failed(&error),
    }
}
