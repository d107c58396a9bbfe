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
    Distill(Box<cli::distill::DistillArgs>),
    Node(Box<cli::node::NodeArgs>),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Distill(args) => cli::distill::run(*args),
        Command::Node(args) => cli::node::run(*args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::failed(&error),
    }
}
